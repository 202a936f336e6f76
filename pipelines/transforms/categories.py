"""Which category of a product counts: the first by path.

Belongs here: choosing and listing categories. Does not: the tree (sources/catalog.py writes paths).
"""

import polars as pl

KEY = ["tenant_id", "product_id"]


def first_categories(product_categories: pl.LazyFrame, categories: pl.LazyFrame) -> pl.LazyFrame:
    """(tenant_id, product_id, category_id, category_name, categories) of products in any."""
    return (
        product_categories.join(categories, on=["tenant_id", "category_id"])
        .sort(*KEY, "path", "category_id")
        .group_by(KEY, maintain_order=True)
        .agg(
            pl.col("category_id").first(),
            pl.col("category_name").first(),
            pl.col("category_name").alias("categories"),
        )
    )
