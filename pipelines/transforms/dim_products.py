"""Products as a dimension.

Belongs here: joining products and their categories. Does not: reading and checking.
"""

import polars as pl

from pipelines.frames import TEXT_LIST


def product_rows(products: pl.LazyFrame, first_categories: pl.LazyFrame) -> pl.LazyFrame:
    """One row per product; one in no category has none."""
    return products.join(first_categories, on=["tenant_id", "product_id"], how="left").with_columns(
        pl.col("categories").fill_null(pl.lit([], TEXT_LIST))
    )
