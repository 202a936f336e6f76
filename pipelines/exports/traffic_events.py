"""traffic_events: source → check.

Belongs here: that path for one table. Does not: which events are new (traffic.py).
"""

import polars as pl

from analytics.contracts import TRAFFIC_EVENTS
from pipelines.checks.shape import check_shape


def export_traffic_events(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of a selection of events."""
    events = rows.select("tenant_id", *TRAFFIC_EVENTS.column_names)
    check_shape(TRAFFIC_EVENTS, events)
    return events
