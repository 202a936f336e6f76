"""Taxes as facts.

Belongs here: an order's tax by what is taxed. Does not: reading and checking.
"""

import polars as pl

from pipelines.frames import MONEY
from pipelines.transforms.orders import RATE_COLUMNS

# what a tax takes from its order, through a line or not
OF_ORDER = (
    "tenant_id",
    "order_id",
    "country",
    "region",
    "currency",
    *RATE_COLUMNS,
    "channel",
    "placed_at",
    "order_status",
    "cancelled_at",
)
OF_LINE = (*OF_ORDER, "line_id", "product_id", "tax_rate_ratio", "total", "taxes")
OF_ORDER_ALONE = (*OF_ORDER, "shipping", "taxes", "shipping_tax_total", "lines_taxes")


def tax_facts(line_facts: pl.LazyFrame, order_facts: pl.LazyFrame) -> pl.LazyFrame:
    """One row per taxed line, one for the shipping's tax, one for what is left of the order's."""
    by_line = line_facts.filter((pl.col("taxes") != 0) | (pl.col("tax_rate_ratio") != 0)).select(
        *OF_ORDER,
        pl.lit("line").alias("kind"),
        "line_id",
        "product_id",
        pl.col("tax_rate_ratio").alias("rate_ratio"),
        (pl.col("total") - pl.col("taxes")).cast(MONEY).alias("taxable_amount"),
        pl.col("taxes").alias("amount"),
    )
    left = pl.col("taxes") - pl.col("shipping_tax_total") - pl.col("lines_taxes")
    parts = [by_line]
    for kind, taxable, amount in (
        ("shipping", pl.col("shipping"), pl.col("shipping_tax_total")),
        ("other", pl.lit(None, MONEY), left.cast(MONEY)),
    ):
        parts.append(
            order_facts.select(
                *OF_ORDER,
                pl.lit(kind).alias("kind"),
                taxable.alias("taxable_amount"),
                amount.alias("amount"),
            ).filter(pl.col("amount") != 0)
        )
    return pl.concat(parts, how="diagonal")
