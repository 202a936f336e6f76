"""orders: source → transform → check.

Belongs here: that path for one table. Does not: which orders (incremental.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import ORDERS
from pipelines.checks.amounts import check_orders
from pipelines.checks.shape import check_shape
from pipelines.sources.orders import OrderRows
from pipelines.transforms.orders import order_facts
from pipelines.transforms.taxes import OF_ORDER_ALONE


def export_orders(rows: OrderRows, sums: pl.DataFrame) -> pl.DataFrame:
    """The orders of a selection, with what taxes take from them beside the contract, checked
    against the sums of its exported lines."""
    facts = (
        order_facts(rows.orders, sums.lazy())
        .select({"tenant_id", *ORDERS.column_names, *OF_ORDER_ALONE})
        .collect()
    )
    check_shape(ORDERS, facts)
    check_orders(facts, sums)
    return facts
