"""fulfillments: source → transform → check.

Belongs here: that path for one table. Does not: which orders (incremental.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import FULFILLMENTS
from pipelines.checks.shape import check_shape
from pipelines.checks.stock import check_fulfillments
from pipelines.sources.orders import OrderRows
from pipelines.transforms.fulfillments import fulfillment_facts


def export_fulfillments(rows: OrderRows, order_lines: pl.DataFrame) -> pl.DataFrame:
    """The fulfilled lines of a selection of orders, checked against its exported lines."""
    facts = (
        fulfillment_facts(rows.fulfillment_lines, rows.order_lines, rows.orders)
        .select("tenant_id", *FULFILLMENTS.column_names)
        .collect()
    )
    check_shape(FULFILLMENTS, facts)
    check_fulfillments(facts, order_lines)
    return facts
