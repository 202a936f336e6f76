"""orders: source → transform → check.

Belongs here: that path for one table. Does not: which orders (incremental.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import ORDERS
from pipelines.checks.amounts import check_orders
from pipelines.checks.shape import check_shape
from pipelines.sources.orders import OrderRows
from pipelines.transforms.orders import order_facts


def export_orders(rows: OrderRows, order_lines: pl.DataFrame) -> pl.DataFrame:
    """The orders of a selection, checked against its exported lines."""
    facts = (
        order_facts(rows.orders, rows.order_lines)
        .select("tenant_id", *ORDERS.column_names)
        .collect()
    )
    check_shape(ORDERS, facts)
    check_orders(facts, order_lines)
    return facts
