"""Taxes as facts.

Belongs here: an order's tax by what is taxed. Does not: reading and checking.
"""

import polars as pl

from pipelines.frames import MONEY
from pipelines.transforms.orders import RATE_COLUMNS

ORDER = ["tenant_id", "order_id"]


def tax_facts(order_lines: pl.LazyFrame, orders: pl.LazyFrame) -> pl.LazyFrame:
    """One row per taxed line, one for the shipping's tax, one for what is left of the order's."""
    by_line = order_lines.filter(
        (pl.col("tax_total") != 0) | (pl.col("tax_rate_ratio") != 0)
    ).select(
        *ORDER,
        pl.lit("line").alias("kind"),
        "line_id",
        "product_id",
        pl.col("tax_rate_ratio").alias("rate_ratio"),
        (pl.col("total") - pl.col("tax_total")).cast(MONEY).alias("taxable_amount"),
        pl.col("tax_total").alias("amount"),
    )
    told = order_lines.group_by(ORDER).agg(pl.col("tax_total").sum().alias("told"))
    left = pl.col("tax_total") - pl.col("shipping_tax_total") - pl.col("told").fill_null(0)
    rest = orders.join(told, on=ORDER, how="left").select(
        *ORDER,
        pl.col("shipping_total").alias("taxable_amount"),
        pl.col("shipping_tax_total").alias("shipping"),
        left.cast(MONEY).alias("other"),
    )
    parts = [by_line]
    for kind in ("shipping", "other"):
        taxable = pl.col("taxable_amount") if kind == "shipping" else pl.lit(None, MONEY)
        parts.append(
            rest.filter(pl.col(kind) != 0).select(
                *ORDER,
                pl.lit(kind).alias("kind"),
                taxable.alias("taxable_amount"),
                pl.col(kind).alias("amount"),
            )
        )
    of_order = orders.select(
        *ORDER,
        "country",
        "region",
        "currency",
        *RATE_COLUMNS,
        "channel",
        "placed_at",
        pl.col("status").alias("order_status"),
        "cancelled_at",
    )
    return pl.concat(parts, how="diagonal").join(of_order, on=ORDER)
