"""refunds: source → transform → check.

Belongs here: that path for one table. Does not: which orders (incremental.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import REFUNDS
from pipelines.checks.amounts import check_refunds
from pipelines.checks.shape import check_shape
from pipelines.sources.orders import OrderRows
from pipelines.transforms.refunds import refund_facts


def export_refunds(rows: OrderRows, orders: pl.DataFrame) -> pl.DataFrame:
    """The refunds of a selection of orders, checked against its exported orders."""
    facts = (
        refund_facts(rows.refunds, rows.refund_lines, rows.order_lines, rows.orders)
        .select("tenant_id", *REFUNDS.column_names)
        .collect()
    )
    check_shape(REFUNDS, facts)
    check_refunds(facts, orders)
    return facts
