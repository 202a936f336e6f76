"""Payments as facts.

Belongs here: what a payment takes from its order. Does not: reading and checking.
"""

import polars as pl

from pipelines.transforms.orders import RATE_COLUMNS


def payment_facts(payments: pl.LazyFrame, orders: pl.LazyFrame) -> pl.LazyFrame:
    """One row per payment, with its order's state."""
    of_order = orders.select(
        "tenant_id",
        "order_id",
        "channel",
        *RATE_COLUMNS,
        "placed_at",
        pl.col("status").alias("order_status"),
        "cancelled_at",
    )
    return payments.join(of_order, on=["tenant_id", "order_id"])
