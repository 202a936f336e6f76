"""Orders as facts.

Belongs here: naming amounts as the lake does, units per order. Does not: adding up lines
(order_sums.py), reading and checking.
"""

import polars as pl

from pipelines.frames import MONEY, MONEY_SUM
from pipelines.transforms.order_sums import ORDER

# what its lines, payments and refunds are converted by, too
RATE_COLUMNS = ("base_currency", "exchange_rate")


def order_facts(orders: pl.LazyFrame, line_sums: pl.LazyFrame) -> pl.LazyFrame:
    """One row per order; an order without lines has no units."""
    return orders.join(line_sums, on=ORDER, how="left").with_columns(
        pl.col("units").fill_null(0),
        pl.col("cost_of_goods").fill_null(0).cast(MONEY_SUM),
        pl.col("costed_sales").fill_null(0).cast(MONEY),
        pl.col("lines_taxes").fill_null(0).cast(MONEY),
        pl.col("subtotal").alias("gross_sales"),
        pl.col("discount_total").alias("discounts"),
        pl.col("shipping_total").alias("shipping"),
        pl.col("tax_total").alias("taxes"),
        pl.col("status").alias("order_status"),
    )
