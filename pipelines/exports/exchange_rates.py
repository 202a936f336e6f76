"""exchange_rates: source → check.

Belongs here: that path for one table. Does not: which rows (incremental.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import EXCHANGE_RATES
from pipelines.checks.amounts import check_exchange_rates
from pipelines.checks.shape import check_shape


def export_exchange_rates(rates: pl.DataFrame) -> pl.DataFrame:
    """A selection of rates."""
    rows = rates.select("tenant_id", *EXCHANGE_RATES.column_names)
    check_shape(EXCHANGE_RATES, rows)
    check_exchange_rates(rows)
    return rows
