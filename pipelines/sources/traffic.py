"""Storefront events as the stream holds them, as rows.

Belongs here: batches of the stream → a frame. Does not: reading the stream
(shop_api/spine/traffic_stream.py), and which rows are new (traffic.py of pipelines).
"""

from collections.abc import Sequence

import polars as pl

from pipelines.frames import BOOLEAN, INSTANT, INTEGER, TEXT
from shop_api.spine.traffic_stream import Batch, TrafficEvent

HOUR_KEY = "%Y-%m-%dT%H"
SENT = TrafficEvent.__struct_fields__
TYPES = {"occurred_at": INTEGER, "is_bot": BOOLEAN}


def read_traffic(batches: Sequence[Batch]) -> pl.DataFrame:
    """The events of the batches in the order they came, with tenant_id."""
    events = [event for batch in batches for event in batch.events]
    columns = {
        name: pl.Series(
            name, [getattr(event, name) for event in events], dtype=TYPES.get(name, TEXT)
        )
        for name in SENT
    }
    counts = [len(batch.events) for batch in batches]
    repeated = pl.DataFrame(
        {
            "tenant_id": pl.Series([batch.tenant_id for batch in batches], dtype=TEXT),
            "received_at": pl.Series([batch.received_at for batch in batches], dtype=INTEGER),
            "count": pl.Series(counts, dtype=pl.UInt32),
        }
    ).select(pl.exclude("count").repeat_by("count").list.explode(empty_as_null=False))
    return (
        pl.DataFrame(columns)
        .hstack(repeated.get_columns())
        .with_columns(
            pl.from_epoch(pl.col(name), time_unit="us").dt.replace_time_zone("UTC").cast(INSTANT)
            for name in ("occurred_at", "received_at")
        )
        .with_columns(pl.col("occurred_at").dt.to_string(HOUR_KEY).alias("hour_key"))
    )
