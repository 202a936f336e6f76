"""The relay: every committed event, from Postgres to Redis, in order per tenant.

Belongs here: publishing the spine, and replacing the versions of what it tells of and noting how
far a replica must be, in case a writer could not or died before it did. Does not: reading
(reader.py), who listens (realtime), other readers of the spine (pipelines, webhooks).

A successor may publish some events a second time; subscribers drop what is not above the last
sequence they saw (`realtime.hub`).
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import redis

from shop_api.db.read_routing import WrittenPositions
from shop_api.kernel.clock import format_instant
from shop_api.metrics.definitions import relay_caught_up, relay_events, relay_lag
from shop_api.spine.event_data import EVENT_DATA
from shop_api.spine.reader import SpineReader
from shop_api.spine.resources import Touch, touched_by
from shop_api.spine.versions import replace_versions

LOCK = "relay"
COLUMNS = f"tenant_id, sequence, type, {EVENT_DATA}::text, recorded_at, subject_type"
# What the names of the tenants' channels begin with.
CHANNELS = "events:"

Row = tuple[UUID, int, str, str, datetime, str]


def channel_of(tenant_id: UUID) -> str:
    """The Redis channel of a tenant's events."""
    return f"{CHANNELS}{tenant_id}"


def published_message(row: Row) -> str:
    """One event as published. `data` goes out as Postgres wrote it: exact decimals stay exact."""
    tenant_id, sequence, type_, data, recorded_at, _ = row
    return (
        f'{{"tenant_id":"{tenant_id}","id":{sequence},"type":{json.dumps(type_)},"data":{data},'
        f'"timestamp":"{format_instant(recorded_at)}"}}'
    )


class Relay:
    """Publishes while it leads, otherwise stands by."""

    def __init__(
        self,
        url: str,
        client: redis.Redis,
        *,
        retention_seconds: float,
        clock: Callable[[], datetime],
        on_events: Callable[[], None] = lambda: None,
        positions: WrittenPositions | None = None,
    ) -> None:
        self._redis = client
        self._clock = clock
        # None: there is no replica that could lack what was written
        self._positions = positions
        self._published: dict[UUID, int] = {}
        # when all that was committed had last been published by this one
        self.caught_up_at: datetime | None = None
        self._reader = SpineReader(
            url,
            LOCK,
            COLUMNS,
            self._publish,
            outages=(redis.RedisError,),
            # what a client may resume from
            retention_seconds=retention_seconds,
            clock=clock,
            on_lead=self._published.clear,
            on_caught_up=self._has_caught_up,
            on_events=on_events,
        )

    @property
    def is_leading(self) -> bool:
        """Whether this one publishes, of all relays."""
        return self._reader.is_leading

    def stop(self) -> None:
        """Ask `run` to return; it does within a polling interval."""
        self._reader.stop()

    def run(self) -> None:
        """Relay until stopped, through restarts of Postgres and Redis."""
        self._reader.run()

    def _has_caught_up(self, now: datetime) -> None:
        self.caught_up_at = now
        relay_caught_up.set(now.timestamp())

    def _publish(self, rows: Sequence[Any], position: int) -> None:
        """Publish a batch in one round trip, leaving out what this relay has published before.

        All of it was written before the position.
        """
        fresh = [row for row in rows if row[1] > self._published.get(row[0], 0)]
        if not fresh:
            return
        touched: set[Touch] = set()
        for tenant_id, *_, subject_type in fresh:
            touched |= touched_by(tenant_id, (subject_type,))
        with self._redis.pipeline(transaction=False) as pipeline:
            # first: who hears of an event and reads finds nothing older
            if self._positions is not None:
                self._positions.note_in(pipeline, {row[0] for row in fresh}, position)
            replace_versions(pipeline, touched)
            for row in fresh:
                pipeline.publish(channel_of(row[0]), published_message(row))
            pipeline.execute()
        now = self._clock()
        for tenant_id, sequence, *_ in fresh:
            self._published[tenant_id] = sequence
        relay_lag.observe_all([(now - row[4]).total_seconds() for row in fresh])
        relay_events.inc(len(fresh))
