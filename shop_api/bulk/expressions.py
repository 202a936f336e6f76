"""A mapping evaluated over chunks of text columns: typed values, or the reason there is none.

Belongs here: expressions and types as Polars expressions. Does not: reading files (readers.py) and
rules that need other rows (checks.py). A chunk comes out as the frame to stage and its rejects.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from shop_api.bulk.field_types import TYPES, Scope, refusal
from shop_api.bulk.fields import Entity, Field
from shop_api.bulk.mapping import Columns, EntityMapping, Expression, Lookup, columns_of, listed
from shop_api.bulk.readers import PROBLEM, ROW
from shop_api.bulk.rejects import Reject, storable
from shop_api.bulk.spreading import SPREADS


@dataclass(frozen=True)
class Value:
    """An expression's value, and why it has none: the first error that is not null."""

    value: pl.Expr
    errors: tuple[pl.Expr, ...] = ()


@dataclass(frozen=True)
class TypedChunk:
    """A chunk after its mapping: `rows` are good, the others are in `rejects`."""

    rows: pl.DataFrame
    rejects: list[Reject]
    rejected_count: int
    # rows of the refused: ROW and the entity's fields as far as they could be read
    rejected: pl.DataFrame
    # good rows of the file, where a list made more or fewer of them
    spread_count: int | None = None

    @property
    def read_count(self) -> int:
        """Rows of the file, good and refused."""
        good_count = len(self.rows) if self.spread_count is None else self.spread_count
        return good_count + self.rejected_count


@dataclass(frozen=True)
class EntityReader:
    """An entity's mapping, compiled once for all its chunks."""

    entity: Entity
    source: EntityMapping
    values: dict[str, Value]
    labels: dict[str, str]

    def read(self, chunk: pl.DataFrame, file: str) -> TypedChunk:
        """The chunk's rows, typed."""
        if self.source.only_if or self.source.unless:
            is_taken = _is_taken(self.source.only_if, self.source.unless)
            chunk = chunk.filter(is_taken | pl.col(PROBLEM).is_not_null())
        errors = [
            pl.coalesce(*value.errors, pl.lit(None, pl.String)).alias(f"\0error {name}")
            for name, value in self.values.items()
        ]
        typed = chunk.select(
            ROW, PROBLEM, *[v.value.alias(name) for name, v in self.values.items()], *errors
        )
        names = [f"\0error {name}" for name in self.values]
        is_bad = pl.any_horizontal(pl.col(PROBLEM, *names).is_not_null())
        bad = typed.filter(is_bad)
        good = typed if bad.is_empty() else typed.filter(~is_bad)
        rows = good.drop(PROBLEM, *names)
        spread = self.entity.spread
        is_spread = spread is not None and spread.field in self.source.fields
        return TypedChunk(
            SPREADS[spread.field](rows) if spread and is_spread else rows,
            list(self._rejects(bad, file)),
            len(bad),
            bad.drop(PROBLEM, *names),
            len(rows) if is_spread else None,
        )

    def _rejects(self, bad: pl.DataFrame, file: str) -> Iterator[Reject]:
        for row in bad.iter_rows(named=True):
            if row[PROBLEM] is not None:
                yield Reject(file, row[ROW], None, row[PROBLEM])
                continue
            for name in self.values:
                if (reason := row[f"\0error {name}"]) is not None:
                    yield Reject(file, row[ROW], self.labels[name], storable(reason))


def compile_entity(entity: Entity, source: EntityMapping, scope: Scope) -> EntityReader:
    """The reader of one entity; fields that are not mapped have their default or null."""
    values = {}
    spread = entity.spread
    stood_for = spread.stands_for if spread and spread.field in source.fields else ()
    for name, whole_rule in entity.fields.items():
        rule = replace(whole_rule, is_required=False) if name in stood_for else whole_rule
        expression = source.fields.get(name)
        if isinstance(expression, str):
            expression = Expression(column=expression)
        if expression is None:
            default = scope.tenant_currency if rule.type == "currency" else rule.default
            values[name] = Value(pl.lit(default, pl.String))
        else:
            values[name] = _typed(name, rule, expression, scope)
    return EntityReader(entity, source, values, field_labels(entity, source))


def field_labels(entity: Entity, source: EntityMapping) -> dict[str, str]:
    """For each field the columns it comes from, as a reject names them."""
    labels = {}
    for name in entity.fields:
        columns = sorted(columns_of(source.fields[name])) if name in source.fields else []
        labels[name] = ", ".join(columns) or name
    return labels


def _text(expression: Expression | str, scope: Scope) -> Value:
    """The text of an expression before it is typed."""
    if isinstance(expression, str):
        return Value(pl.col(expression))
    value = _source(expression, scope)
    if expression.lookup:
        value = _looked_up(value, expression.lookup, scope)
    if expression.first_characters is not None:
        value = Value(value.value.str.slice(0, expression.first_characters), value.errors)
    if expression.values is not None:
        value = _mapped(value, expression)
    if expression.times is not None:
        value = Value(_multiplied(value.value, expression, scope), value.errors)
    if expression.only_if or expression.unless:
        is_taken = _is_taken(expression.only_if, expression.unless)
        errors = tuple(pl.when(is_taken).then(error) for error in value.errors)
        value = Value(pl.when(is_taken).then(value.value), errors)
    if expression.default is not None:
        value = Value(value.value.fill_null(_constant(expression.default)), value.errors)
    return value


def _source(expression: Expression, scope: Scope) -> Value:
    if expression.column is not None:
        return Value(pl.col(expression.column))
    if expression.constant is not None:
        return Value(pl.lit(_constant(expression.constant), pl.String))
    inner = [_text(part, scope) for part in expression.first_of or expression.concat or ()]
    errors = tuple(error for part in inner for error in part.errors)
    parts = [part.value for part in inner]
    if expression.first_of:
        return Value(pl.coalesce(*parts), errors)
    text = pl.concat_str(parts, separator=expression.separator, ignore_nulls=expression.skip_empty)
    return Value(pl.when(text != "").then(text), errors)


def _is_taken(only_if: Columns, unless: Columns) -> pl.Expr:
    """Where one of the first columns has a value, or there is none, and none of the others has."""
    is_taken = pl.any_horizontal(pl.col(listed(only_if)).is_not_null()) if only_if else pl.lit(True)
    return is_taken & pl.all_horizontal(pl.col(listed(unless)).is_null()) if unless else is_taken


def _multiplied(value: pl.Expr, expression: Expression, scope: Scope) -> pl.Expr:
    """A number times another, with the mark it was written with; what is no number stays."""
    mark = expression.decimal_mark or scope.mapping.decimal_mark
    stripped = value.str.strip_chars()
    number = stripped.str.replace(mark, ".", literal=True).cast(pl.Float64, strict=False)
    product = (number * expression.times).round(6).cast(pl.String)
    is_number = stripped.str.contains(rf"^[0-9]{{1,10}}([{mark}][0-9]{{0,20}})?$")
    return pl.when(is_number).then(product.str.replace(".", mark, literal=True)).otherwise(value)


def _constant(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _looked_up(value: Value, lookup: Lookup, scope: Scope) -> Value:
    keys, found = scope.lookups[lookup]
    mapped = value.value.replace_strict(keys, found, default=None, return_dtype=pl.String)
    if lookup.missing == "keep":
        return Value(pl.coalesce(mapped, value.value), value.errors)
    if lookup.missing == "null":
        return Value(mapped, value.errors)
    error = refusal(
        value.value.is_not_null() & mapped.is_null(),
        "{} is not in " + scope.mapping.files[lookup.file].name.replace("{", "{{"),
        value.value,
    )
    return Value(mapped, (*value.errors, error))


def _mapped(value: Value, expression: Expression) -> Value:
    table = expression.values or {}
    mapped = value.value.replace_strict(
        list(table), list(table.values()), default=None, return_dtype=pl.String
    )
    if expression.otherwise == "keep":
        kept = pl.coalesce(mapped, value.value)
        return Value(pl.when(kept != "").then(kept), value.errors)
    if expression.otherwise == "null":
        return Value(pl.when(mapped != "").then(mapped), value.errors)
    is_unknown = value.value.is_not_null() & mapped.is_null()
    error = refusal(is_unknown, "{} is not among the values of the mapping", value.value)
    return Value(pl.when(mapped != "").then(mapped), (*value.errors, error))


def _typed(name: str, rule: Field, expression: Expression, scope: Scope) -> Value:
    """The field's value in the text Postgres reads, or its error."""
    text = _text(expression, scope)
    # also where the mapping makes it empty: a constant, a value of a table, a part of a text
    text = Value(pl.when(text.value != "").then(text.value), text.errors)
    if rule.type == "currency":
        text = Value(text.value.fill_null(scope.tenant_currency), text.errors)
    elif rule.default is not None:
        text = Value(text.value.fill_null(rule.default), text.errors)
    value, error = TYPES[rule.type](text.value, rule, expression, scope)
    errors = [*text.errors, error]
    if rule.is_required or expression.is_required:
        errors.append(pl.when(text.value.is_null()).then(pl.lit(f"{name} is required")))
    return Value(value, tuple(errors))
