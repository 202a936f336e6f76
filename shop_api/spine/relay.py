"""The relay: every committed event, from Postgres to Redis, in order per tenant.

Belongs here: reading the spine, publishing it, and replacing the versions of what it tells of and
noting how far a replica must be, in case a writer could not or died before it did. Does not: who
listens (realtime), durable consumers with cursors of their own (pipelines, webhooks).

Among any number of workers one relay runs: the one whose connection holds the advisory lock. That
connection also listens and reads, so a relay that lost its lock cannot read on. A successor reads
from the durable cursor and may publish some events a second time; subscribers drop what is not
above the last sequence they saw (`realtime.hub`).
"""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import redis

from shop_api.db.outages import describe
from shop_api.db.read_routing import WrittenPositions
from shop_api.db.round_trips import POSITION
from shop_api.kernel.clock import format_instant
from shop_api.metrics.definitions import relay_caught_up, relay_events, relay_lag
from shop_api.spine.cursors import Snapshot, find_cursor, save_cursor
from shop_api.spine.event_data import EVENT_DATA
from shop_api.spine.locks import lock_key
from shop_api.spine.resources import Touch, touched_by
from shop_api.spine.versions import replace_versions
from shop_api.spine.waker import CHANNEL

CURSOR = "relay"
LOCK = "relay"
BATCH_ROWS = 1000
# Wakes come by NOTIFY; this only bounds the delay when one was lost, and how fast a standby takes
# over.
POLL_SECONDS = 1.0
RETRY_MIN_SECONDS = 0.1
RETRY_MAX_SECONDS = 2.0

# Whatever the snapshot shows was written before the position.
HERE = f"SELECT pg_current_snapshot()::text, ({POSITION.decode()})"

TRY_LOCK = "SELECT pg_try_advisory_lock(%s)"

# Rows that became visible since the snapshot (xmax, in_progress). Materialized, so that the sort
# cannot be traded for a walk along the primary key. Rows restored from another server may carry
# xids that this one has not reached: they are not new.
READ_NEW = f"""
WITH fresh AS MATERIALIZED (
    SELECT tenant_id, sequence, type, data, recorded_at, subject_type FROM events
    WHERE (xid = ANY (%(in_progress)s::text[]::xid8[])
           OR (xid >= %(xmax)s::text::xid8 AND xid < %(next_xmax)s::text::xid8))
      AND recorded_at >= %(since)s
)
SELECT tenant_id, sequence, type, {EVENT_DATA}::text, recorded_at, subject_type FROM fresh e
ORDER BY tenant_id, sequence
"""

logger = logging.getLogger(__name__)

Row = tuple[UUID, int, str, str, datetime, str]


def channel_of(tenant_id: UUID) -> str:
    """The Redis channel of a tenant's events."""
    return f"events:{tenant_id}"


def published_message(row: Row) -> str:
    """One event as published. `data` goes out as Postgres wrote it: exact decimals stay exact."""
    tenant_id, sequence, type_, data, recorded_at, _ = row
    return (
        f'{{"tenant_id":"{tenant_id}","id":{sequence},"type":{json.dumps(type_)},"data":{data},'
        f'"timestamp":"{format_instant(recorded_at)}"}}'
    )


class Relay:
    """Publishes while it holds the lock, otherwise stands by."""

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
        self._url = url
        self._redis = client
        self._retention = timedelta(seconds=retention_seconds)
        self._clock = clock
        self._on_events = on_events
        # None: there is no replica that could lack what was written
        self._positions = positions
        self._stopped = threading.Event()
        self._published: dict[UUID, int] = {}
        self.is_leading = False
        # when all that was committed had last been published by this one
        self.caught_up_at: datetime | None = None

    def stop(self) -> None:
        """Ask `run` to return; it does within a polling interval."""
        self._stopped.set()

    def run(self) -> None:
        """Relay until stopped, through restarts of Postgres and Redis."""
        delay = RETRY_MIN_SECONDS
        while not self._stopped.is_set():
            try:
                with self._connect() as connection:
                    delay = RETRY_MIN_SECONDS
                    if self._wait_for_lock(connection):
                        self._lead(connection)
            except psycopg.OperationalError as error:
                logger.warning(
                    "relay lost Postgres, trying again in %.1f s: %s", delay, describe(error)
                )
                self._stopped.wait(delay)
                delay = min(delay * 2, RETRY_MAX_SECONDS)
            finally:
                self.is_leading = False

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            self._url,
            autocommit=True,
            application_name="shop-api relay",
            connect_timeout=5,
            keepalives_idle=10,
            keepalives_interval=2,
            keepalives_count=3,
        )
        # A cursor lost in a crash of Postgres only means reading a little twice.
        connection.execute("SET synchronous_commit = off")
        return connection

    def _wait_for_lock(self, connection: psycopg.Connection[Any]) -> bool:
        """True once this connection holds the lock, False when stopped before."""
        while not self._stopped.is_set():
            row = connection.execute(
                "SELECT pg_try_advisory_lock(%s)", (lock_key(LOCK),)
            ).fetchone()
            if row and row[0]:
                return True
            self._stopped.wait(POLL_SECONDS)
        return False

    def _lead(self, connection: psycopg.Connection[Any]) -> None:
        self.is_leading = True
        connection.execute(f"LISTEN {CHANNEL}")
        cursor = find_cursor(connection, CURSOR)
        # Without a cursor everything is new, back to what a client may resume from.
        seen = Snapshot.before(cursor or 0)
        self._published.clear()
        logger.info("relay leads", extra={"cursor_xid": cursor})
        delay = RETRY_MIN_SECONDS
        while not self._stopped.is_set():
            try:
                seen = self._advance(connection, seen)
                delay = RETRY_MIN_SECONDS
            except redis.RedisError as error:
                logger.warning(
                    "relay cannot publish, trying again in %.1f s: %s", delay, describe(error)
                )
                self._stopped.wait(delay)
                delay = min(delay * 2, RETRY_MAX_SECONDS)
                continue
            for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
                pass

    def _advance(self, connection: psycopg.Connection[Any], seen: Snapshot) -> Snapshot:
        """Publish what became visible since `seen`; the snapshot that showed it."""
        now = self._clock()
        count = 0
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            ((shown, position),) = connection.execute(HERE).fetchall()
            snapshot = Snapshot.parse(shown)
            if snapshot == seen:
                self._has_caught_up(now)
                return seen
            with connection.cursor(name="relay") as rows:
                rows.execute(
                    READ_NEW,
                    {
                        "in_progress": [str(xid) for xid in seen.in_progress],
                        "xmax": str(seen.xmax),
                        "next_xmax": str(snapshot.xmax),
                        "since": now - self._retention,
                    },
                )
                while batch := rows.fetchmany(BATCH_ROWS):
                    count += len(batch)
                    self._publish(batch, position)
        self._has_caught_up(now)
        if count:
            save_cursor(connection, CURSOR, snapshot.xmin, now)
            self._on_events()
        return snapshot

    def _has_caught_up(self, now: datetime) -> None:
        self.caught_up_at = now
        relay_caught_up.set(now.timestamp())

    def _publish(self, rows: Sequence[Row], position: int) -> None:
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
