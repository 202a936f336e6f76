"""taxes: source → transform → check.

Belongs here: that path for one table. Does not: which orders (incremental.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import TAXES
from pipelines.checks.amounts import check_taxes
from pipelines.checks.shape import check_shape
from pipelines.sources.orders import OrderRows
from pipelines.transforms.taxes import tax_facts


def export_taxes(rows: OrderRows, orders: pl.DataFrame) -> pl.DataFrame:
    """The taxes of a selection of orders, checked against its exported orders."""
    facts = (
        tax_facts(rows.order_lines, rows.orders).select("tenant_id", *TAXES.column_names).collect()
    )
    check_shape(TAXES, facts)
    check_taxes(facts, orders)
    return facts
