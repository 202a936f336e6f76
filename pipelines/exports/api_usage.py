"""api_usage: source → check.

Belongs here: that path for one table. Does not: which hours (usage.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import API_USAGE
from pipelines.checks.shape import check_shape


def export_api_usage(rows: pl.DataFrame) -> pl.DataFrame:
    """The usage of a selection of hours."""
    usage = rows.select("tenant_id", *API_USAGE.column_names)
    check_shape(API_USAGE, usage)
    return usage
