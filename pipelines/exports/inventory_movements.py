"""inventory_movements: source → check.

Belongs here: that path for one table. Does not: which rows (stock.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import INVENTORY_MOVEMENTS
from pipelines.checks.shape import check_shape
from pipelines.checks.stock import check_movements


def export_inventory_movements(movements: pl.DataFrame) -> pl.DataFrame:
    """A selection of rows of the ledger."""
    rows = movements.select("tenant_id", *INVENTORY_MOVEMENTS.column_names)
    check_shape(INVENTORY_MOVEMENTS, rows)
    check_movements(rows)
    return rows
