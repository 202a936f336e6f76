"""Orders as facts.

Belongs here: naming amounts as the lake does, units per order. Does not: reading and checking.
"""

import polars as pl

from pipelines.frames import MONEY, MONEY_SUM

# of a quantity that multiplies an amount: no digits after the point
UNITS = pl.Decimal(18, 0)
KEY = ["tenant_id", "order_id"]
# what its lines, payments and refunds are converted by, too
RATE_COLUMNS = ("base_currency", "exchange_rate")


def order_facts(orders: pl.LazyFrame, order_lines: pl.LazyFrame) -> pl.LazyFrame:
    """One row per order; an order without lines has no units."""
    cost = (pl.col("unit_cost") * pl.col("quantity").cast(UNITS)).cast(MONEY_SUM)
    costed = pl.when(pl.col("unit_cost").is_not_null()).then(
        pl.col("subtotal") - pl.col("discount_total")
    )
    of_lines = order_lines.group_by(KEY).agg(
        pl.col("quantity").sum().alias("units"),
        cost.sum().alias("cost_of_goods"),
        costed.sum().cast(MONEY).alias("costed_sales"),
    )
    return orders.join(of_lines, on=KEY, how="left").with_columns(
        pl.col("units").fill_null(0),
        pl.col("cost_of_goods").fill_null(0).cast(MONEY_SUM),
        pl.col("costed_sales").fill_null(0).cast(MONEY),
        pl.col("subtotal").alias("gross_sales"),
        pl.col("discount_total").alias("discounts"),
        pl.col("shipping_total").alias("shipping"),
        pl.col("tax_total").alias("taxes"),
    )
