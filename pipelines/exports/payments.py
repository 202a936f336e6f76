"""payments: source → transform → check.

Belongs here: that path for one table. Does not: which orders (incremental.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import PAYMENTS
from pipelines.checks.amounts import check_payments
from pipelines.checks.shape import check_shape
from pipelines.sources.orders import OrderRows
from pipelines.transforms.payments import payment_facts


def export_payments(rows: OrderRows) -> pl.DataFrame:
    """The payments of a selection of orders."""
    facts = (
        payment_facts(rows.payments, rows.orders)
        .select("tenant_id", *PAYMENTS.column_names)
        .collect()
    )
    check_shape(PAYMENTS, facts)
    check_payments(facts)
    return facts
