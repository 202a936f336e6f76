"""stock_levels: source → check.

Belongs here: that path for one table. Does not: which rows (stock.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import STOCK_LEVELS
from pipelines.checks.shape import check_shape
from pipelines.checks.stock import check_levels


def export_stock_levels(levels: pl.DataFrame) -> pl.DataFrame:
    """A selection of what lies where."""
    rows = levels.select("tenant_id", *STOCK_LEVELS.column_names)
    check_shape(STOCK_LEVELS, rows)
    check_levels(rows)
    return rows
