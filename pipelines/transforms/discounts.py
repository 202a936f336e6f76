"""Discounts as facts.

Belongs here: what a discount takes from its order line and its order, and what of a line's
discounts names none. Does not: reading and checking.
"""

import polars as pl

from pipelines.frames import MONEY
from pipelines.transforms.orders import RATE_COLUMNS

LINE = ["tenant_id", "order_id", "line_id"]


def discount_facts(
    order_discounts: pl.LazyFrame, order_lines: pl.LazyFrame, orders: pl.LazyFrame
) -> pl.LazyFrame:
    """One row per discount and line, one per line with what no discount tells, and the rest."""
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
    )
    lines = order_lines.select(*LINE, "product_id", "discount_total")
    told = order_discounts.group_by(LINE).agg(pl.col("amount").sum().alias("told"))
    unnamed = (
        lines.join(told, on=LINE, how="left")
        .select(
            *LINE,
            (pl.col("discount_total") - pl.col("told").fill_null(0)).cast(MONEY).alias("amount"),
            pl.lit(0).cast(MONEY).alias("shipping_amount"),
        )
        .filter(pl.col("amount") != 0)
    )
    return (
        pl.concat([order_discounts, unnamed], how="diagonal")
        .join(lines.drop("discount_total"), on=LINE, how="left")
        .join(of_order, on=["tenant_id", "order_id"])
    )
