"""Order lines as facts.

Belongs here: what a line takes from its order and its product. Does not: reading and checking.

Taxes and discounts are made of these rows, so that a line finds its order once.
"""

import polars as pl

from pipelines.transforms.orders import RATE_COLUMNS


def order_line_facts(
    order_lines: pl.LazyFrame, orders: pl.LazyFrame, first_categories: pl.LazyFrame
) -> pl.LazyFrame:
    """One row per line, with its order's state and its product's present category."""
    of_order = orders.select(
        "tenant_id",
        "order_id",
        "currency",
        *RATE_COLUMNS,
        "channel",
        "placed_at",
        pl.col("status").alias("order_status"),
        "cancelled_at",
        "customer_id",
        "country",
        "region",
    )
    of_product = first_categories.select("tenant_id", "product_id", "category_id")
    return (
        order_lines.join(of_order, on=["tenant_id", "order_id"])
        .join(of_product, on=["tenant_id", "product_id"], how="left")
        .with_columns(
            pl.col("subtotal").alias("gross_sales"),
            pl.col("discount_total").alias("discounts"),
            pl.col("tax_total").alias("taxes"),
        )
    )
