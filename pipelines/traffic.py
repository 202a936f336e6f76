"""Storefront events into the lake: what waits in the stream, each event once.

Belongs here: the run, and which events are new. Does not: the stream (shop_api/spine), facts that
events of the spine tell of (incremental.py), and letting go of old events (compaction.py).

Batches are acknowledged when the snapshot that holds them is published. A run that died before is
done again with the same batches, and finds in the lake what it had published: an event is looked
for by its id among those that happened in the 48 hours before it was received.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl
import redis

from analytics.contracts import TRAFFIC_EVENTS
from pipelines.changeset import Changeset, begin
from pipelines.context import LakeContext
from pipelines.exports.traffic_events import export_traffic_events
from pipelines.frames import period_of
from pipelines.runner import Outcome, tell, write
from pipelines.sinks.delta import Rewrite, UnreadableFileError
from pipelines.sinks.publication import newest, writer_lock
from pipelines.sources.traffic import HOUR_KEY, read_traffic
from shop_api.metrics.definitions import traffic_events, traffic_lag
from shop_api.spine.traffic_stream import Batch, TrafficQueue

TRAFFIC = "lake_traffic"
# Of up to 500 events: what one snapshot takes in, and what is in memory at once.
BATCHES_A_RUN = 200
# What intake takes: later events may have been received before.
LATEST = timedelta(hours=48)
logger = logging.getLogger(__name__)


def run_traffic(context: LakeContext, client: redis.Redis, now: datetime) -> Outcome:
    """Bring the next batches of the stream into the lake; nothing before the first export.

    Waits for a run that is under way, as the one of usage does.
    """
    queue = TrafficQueue(client)
    with writer_lock(context.engine) as held:
        published = newest(held)
        held.rollback()
        if published is None:
            return Outcome("idle")
        batches = queue.read(BATCHES_A_RUN)
        waited_seconds = queue.lag_seconds(now)
        traffic_lag.set(waited_seconds)
        if not batches:
            return Outcome("idle")
        rows = read_traffic(batches)

        def work() -> Changeset:
            changeset = begin(context, published.versions, now)
            _put(changeset, rows)
            return changeset

        # the events of the spine that it holds are those that the snapshot before held
        outcome = write(context, held, TRAFFIC, published.position, now, work, waited_seconds)
        context.on_step("acknowledge")
        _acknowledge(queue, batches, rows.height - outcome.rows_written.get(TRAFFIC_EVENTS.name, 0))
    tell(context, outcome, now)
    return outcome


def _acknowledge(queue: TrafficQueue, batches: Sequence[Batch], duplicates: int) -> None:
    queue.acknowledge(batches)
    traffic_events.labels("duplicate").inc(duplicates)


def _put(changeset: Changeset, rows: pl.DataFrame) -> None:
    """Add the events that the lake does not have; of those with one id the first that came."""
    first = rows.unique(["tenant_id", "event_id"], keep="first", maintain_order=True)
    rewrite = changeset.of(TRAFFIC_EVENTS)
    for (tenant_id,), sent in first.partition_by("tenant_id", as_dict=True).items():
        known = _known_ids(rewrite, str(tenant_id), sent)
        new = export_traffic_events(sent.filter(~pl.col("event_id").is_in(known)))
        if new.is_empty():
            continue
        by_period = new.with_columns(period_of(TRAFFIC_EVENTS, "month"))
        for (period,), part in by_period.partition_by("period", as_dict=True).items():
            rewrite.add(str(tenant_id), str(period), part)
        changeset.tenant_ids.add(str(tenant_id))


def _known_ids(rewrite: Rewrite, tenant_id: str, sent: pl.DataFrame) -> list[str]:
    """Of these events' ids those that the lake has in the hours in which they may have happened."""
    earliest = sent["received_at"].min()
    assert isinstance(earliest, datetime)
    least = (earliest - LATEST).strftime(HOUR_KEY)
    ids = sent["event_id"].implode()
    found: list[str] = []
    for file in rewrite.files(tenant_id):
        if file.greatest_key >= least:
            try:
                had = rewrite.read_column(file, "event_id")
                found += had.filter(had.is_in(ids)).to_list()
            except UnreadableFileError as error:
                rewrite.lose(file, error)
    return found
