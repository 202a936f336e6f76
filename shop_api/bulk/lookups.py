"""Lookup tables of a mapping: two columns of a file, one value for each key.

Belongs here: building them in one pass over each file. Does not: using them (expressions.py).
They are held in memory, hence at most LOOKUP_LIMIT distinct keys each.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from shop_api.bulk.field_types import LookupTables
from shop_api.bulk.mapping import (
    Expression,
    Lookup,
    Mapping,
    inner_expressions,
    listed,
    mapping_error,
)
from shop_api.bulk.readers import find_files, read_chunks

LOOKUP_LIMIT = 2_000_000


def load_lookups(
    folder: Path, mapping: Mapping, after_chunk: Callable[[], None] = lambda: None
) -> LookupTables:
    """Every lookup the mapping's entities use; `after_chunk` may raise to stop reading."""
    lookups = {
        lookup
        for entity in mapping.entities.values()
        for expression in entity.fields.values()
        for lookup in _lookups_of(expression)
    }
    return {lookup: _load(folder, mapping, lookup, after_chunk) for lookup in lookups}


def _lookups_of(expression: Expression | str) -> Iterator[Lookup]:
    if isinstance(expression, str):
        return
    if expression.lookup:
        yield expression.lookup
    for inner in inner_expressions(expression):
        yield from _lookups_of(inner)


def _load(
    folder: Path, mapping: Mapping, lookup: Lookup, after_chunk: Callable[[], None]
) -> tuple[pl.Series, pl.Series]:
    source = mapping.files[lookup.file]
    table = pl.DataFrame(schema={"key": pl.String, "value": pl.String})
    for path in find_files(folder, source):
        values = listed(lookup.value)
        for chunk in read_chunks(path, source, {lookup.key, *values}):
            rows = chunk.select(
                pl.col(lookup.key).alias("key"), pl.coalesce(pl.col(values)).alias("value")
            )
            table = _pick(pl.concat([table, rows.drop_nulls()]), lookup, mapping.decimal_mark)
            if len(table) > LOOKUP_LIMIT:
                raise mapping_error(
                    f"A lookup holds at most {LOOKUP_LIMIT} keys; {path.name} has more."
                )
            after_chunk()
    return table["key"], table["value"]


def _pick(table: pl.DataFrame, lookup: Lookup, decimal_mark: str) -> pl.DataFrame:
    if lookup.pick == "last":
        return table.unique("key", keep="last", maintain_order=True)
    if lookup.pick in ("min", "max"):
        # what is no number comes last, and is refused where it is used
        number = pl.col("value").str.strip_chars().str.replace(decimal_mark, ".", literal=True)
        table = table.sort(
            number.cast(pl.Decimal(38, 6), strict=False),
            descending=lookup.pick == "max",
            nulls_last=True,
            maintain_order=True,
        )
    return table.unique("key", keep="first", maintain_order=True)
