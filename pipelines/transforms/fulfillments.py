"""Fulfilments as facts.

Belongs here: what a fulfilled line takes from its order line and its order. Does not: reading and
checking.
"""

import polars as pl


def fulfillment_facts(
    fulfillment_lines: pl.LazyFrame, order_lines: pl.LazyFrame, orders: pl.LazyFrame
) -> pl.LazyFrame:
    """One row per order line of a fulfilment."""
    of_order = orders.select("tenant_id", "order_id", "channel", "placed_at")
    of_line = order_lines.select("tenant_id", "line_id", "product_id", "variant_id", "location_id")
    return fulfillment_lines.join(of_order, on=["tenant_id", "order_id"]).join(
        of_line, on=["tenant_id", "line_id"]
    )
