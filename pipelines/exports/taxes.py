"""taxes: source → transform → check.

Belongs here: that path for one table. Does not: which orders (incremental.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import TAXES
from pipelines.checks.amounts import check_taxes
from pipelines.checks.shape import check_shape
from pipelines.transforms.taxes import tax_facts


def export_taxes(order_lines: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    """The taxes of exported lines and orders, checked against these orders."""
    facts = (
        tax_facts(order_lines.lazy(), orders.lazy())
        .select("tenant_id", *TAXES.column_names)
        .sort(TAXES.file_key)
        .collect()
    )
    check_shape(TAXES, facts)
    check_taxes(facts, orders)
    return facts
