"""discounts: source → transform → check.

Belongs here: that path for one table. Does not: which orders (incremental.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import DISCOUNTS
from pipelines.checks.amounts import check_discounts
from pipelines.checks.shape import check_shape
from pipelines.sources.orders import OrderRows
from pipelines.transforms.discounts import discount_facts


def export_discounts(rows: OrderRows, order_lines: pl.DataFrame) -> pl.DataFrame:
    """The discounts of a selection of orders, checked against its exported lines."""
    facts = (
        discount_facts(rows.order_discounts, order_lines.lazy(), rows.orders)
        .select("tenant_id", *DISCOUNTS.column_names)
        .collect()
    )
    check_shape(DISCOUNTS, facts)
    check_discounts(facts, order_lines)
    return facts
