"""Refunds as facts: goods by line, the rest on a row without line.

Belongs here: splitting a refund so that its rows add up to it. Does not: reading and checking.
"""

import polars as pl

from pipelines.frames import MONEY, TEXT
from pipelines.transforms.orders import RATE_COLUMNS

KEY = ["tenant_id", "refund_id"]
ZERO = pl.lit(0).cast(MONEY)


def refund_facts(
    refunds: pl.LazyFrame,
    refund_lines: pl.LazyFrame,
    order_lines: pl.LazyFrame,
    orders: pl.LazyFrame,
) -> pl.LazyFrame:
    """One row per refunded order line, and one without line for what is left of the amount."""
    of_order = orders.select(
        "tenant_id", "order_id", "channel", *RATE_COLUMNS, "placed_at", "cancelled_at"
    )
    headers = refunds.join(of_order, on=["tenant_id", "order_id"])
    products = order_lines.select("tenant_id", "line_id", "product_id", "unit_cost")
    by_line = (
        refund_lines.join(headers.drop("amount", "tax_amount", "shipping_amount"), on=KEY)
        .join(products, on=["tenant_id", "line_id"], how="left")
        .with_columns(
            ZERO.alias("tax_amount"),
            ZERO.alias("shipping_amount"),
            pl.when(pl.col("unit_cost").is_not_null())
            .then(pl.col("goods_amount"))
            .otherwise(ZERO)
            .cast(MONEY)
            .alias("costed_amount"),
        )
        .drop("unit_cost")
    )
    told = refund_lines.group_by(KEY).agg(pl.col("goods_amount").sum().alias("told"))
    without_line = (
        headers.join(told, on=KEY, how="left")
        .with_columns(
            (
                pl.col("amount")
                - pl.col("tax_amount")
                - pl.col("shipping_amount")
                - pl.col("told").fill_null(0)
            )
            .cast(MONEY)
            .alias("goods_amount"),
            pl.lit(None, TEXT).alias("line_id"),
            pl.lit(None, TEXT).alias("product_id"),
            pl.lit(0, pl.Int64).alias("quantity"),
            ZERO.alias("costed_amount"),
        )
        .filter(
            (pl.col("goods_amount") != 0)
            | (pl.col("tax_amount") != 0)
            | (pl.col("shipping_amount") != 0)
        )
        .select(by_line.collect_schema().names())
    )
    return pl.concat([by_line, without_line])
