"""Lists that make several rows of one: paths of categories, addresses of images.

Belongs here: from typed rows of an entity to more of them. Does not: reading the lists
(field_types.py). The rows keep the number of the row of the file they come from.
"""

import polars as pl

from shop_api.bulk.field_types import LIST_MARK, PATH_MARK
from shop_api.bulk.readers import ROW


def spread_paths(rows: pl.DataFrame) -> pl.DataFrame:
    """A category for every step of every path; its key is the path to it."""
    steps: dict[str, tuple[int, str, str, str | None]] = {}
    for row, text in rows.select(ROW, "paths").drop_nulls().iter_rows():
        for path in text.split(LIST_MARK):
            parent = None
            for name in path.split(PATH_MARK):
                key = name if parent is None else f"{parent}{PATH_MARK}{name}"
                steps.setdefault(key, (row, key, name, parent))
                parent = key
    made = pl.DataFrame(
        list(steps.values()),
        {ROW: pl.Int64, "external_id": pl.String, "name": pl.String, "parent": pl.String},
        orient="row",
    )
    others = rows.drop("external_id", "name", "parent")
    return made.join(others, on=ROW, how="left", maintain_order="left")


def spread_urls(rows: pl.DataFrame) -> pl.DataFrame:
    """An image for every address, in the order of the list."""
    listed = rows.drop_nulls("urls").with_columns(url=pl.col("urls").str.split(LIST_MARK))
    return listed.explode("url").with_columns(
        position=pl.coalesce("position", pl.int_range(pl.len()).over(ROW).cast(pl.String))
    )


SPREADS = {"paths": spread_paths, "urls": spread_urls}
