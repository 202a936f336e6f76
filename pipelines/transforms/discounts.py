"""Discounts as facts.

Belongs here: what a discount takes from its order line and its order, and what of a line's
discounts names none. Does not: reading and checking.
"""

import polars as pl

from pipelines.frames import MONEY
from pipelines.transforms.orders import RATE_COLUMNS

LINE = ["tenant_id", "order_id", "line_id"]


def discount_facts(
    order_discounts: pl.LazyFrame, line_facts: pl.LazyFrame, orders: pl.LazyFrame
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
    told = order_discounts.group_by(LINE).agg(pl.col("amount").sum().alias("told"))
    lines = line_facts.select(*LINE, "product_id", "discounts")
    # most lines have none, and nobody tells of any
    is_reduced = pl.col("discounts") != 0
    reduced = pl.concat(
        [lines.filter(is_reduced), lines.filter(~is_reduced).join(told, on=LINE, how="semi")]
    )
    unnamed = (
        reduced.join(told, on=LINE, how="left")
        .select(
            *LINE,
            (pl.col("discounts") - pl.col("told").fill_null(0)).cast(MONEY).alias("amount"),
            pl.lit(0).cast(MONEY).alias("shipping_amount"),
        )
        .filter(pl.col("amount") != 0)
    )
    return (
        pl.concat([order_discounts, unnamed], how="diagonal")
        .join(reduced.drop("discounts"), on=LINE, how="left")
        .join(of_order, on=["tenant_id", "order_id"])
    )
