"""Reading the spine: every committed event of all tenants, handed on in order per tenant.

Belongs here: what became visible since the last read, durable cursors, being woken. Does not: what
is done with events (relay.py, webhooks/fan_out.py).

Among any number of workers one reader of a name leads; it reads on the connection that holds the
lock. A successor reads from the durable cursor and hands some events on a second time: whoever
takes them drops or ignores those.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from shop_api.db.outages import describe
from shop_api.db.round_trips import POSITION
from shop_api.spine.cursors import Snapshot, find_cursor, save_cursor
from shop_api.spine.leadership import (
    POLL_SECONDS,
    RETRY_MAX_SECONDS,
    RETRY_MIN_SECONDS,
    Connection,
    Leadership,
)
from shop_api.spine.waker import CHANNEL

BATCH_ROWS = 1000

# Whatever the snapshot shows was written before the position.
HERE = f"SELECT pg_current_snapshot()::text, ({POSITION.decode()})"

# Rows that became visible since the snapshot (xmax, in_progress). Materialized, so that the sort
# cannot be traded for a walk along the primary key. Rows restored from another server may carry
# xids that this one has not reached: they are not new.
READ_NEW = """
WITH fresh AS MATERIALIZED (
    SELECT tenant_id, sequence, type, data, recorded_at, subject_type, subject_id FROM events
    WHERE (xid = ANY (%(in_progress)s::text[]::xid8[])
           OR (xid >= %(xmax)s::text::xid8 AND xid < %(next_xmax)s::text::xid8))
      AND recorded_at >= %(since)s
)
SELECT {columns} FROM fresh e ORDER BY tenant_id, sequence
"""

logger = logging.getLogger(__name__)

Rows = Sequence[tuple[Any, ...]]
# Takes a batch; all of it was written before the position in the write-ahead log.
Take = Callable[[Rows, int], None]


class SpineReader:
    """Hands events on while it leads, otherwise stands by.

    `name` is that of its lock and its cursor, `columns` are what it reads of an event `e`. When
    `take` raises one of `outages`, the batch and those before it since the last read are handed on
    again.
    """

    def __init__(
        self,
        url: str,
        name: str,
        columns: str,
        take: Take,
        *,
        outages: tuple[type[Exception], ...],
        retention_seconds: float,
        clock: Callable[[], datetime],
        on_lead: Callable[[], None] = lambda: None,
        on_caught_up: Callable[[datetime], None] = lambda _: None,
        on_events: Callable[[], None] = lambda: None,
    ) -> None:
        self._leadership = Leadership(url, name)
        self._query = READ_NEW.format(columns=columns)
        self._take = take
        self._outages = outages
        self._retention = timedelta(seconds=retention_seconds)
        self._clock = clock
        self._on_lead = on_lead
        self._on_caught_up = on_caught_up
        self._on_events = on_events

    @property
    def name(self) -> str:
        """Of its lock and its cursor."""
        return self._leadership.name

    @property
    def is_leading(self) -> bool:
        """Whether this one reads, of all of its name."""
        return self._leadership.is_leading

    def stop(self) -> None:
        """Ask `run` to return; it does within a polling interval."""
        self._leadership.stop()

    def run(self) -> None:
        """Read until stopped, through restarts of Postgres and outages of what events go to."""
        self._leadership.run(self._lead)

    def _lead(self, connection: Connection) -> None:
        stopped = self._leadership.stopped
        connection.execute(f"LISTEN {CHANNEL}")
        cursor = find_cursor(connection, self.name)
        # Without a cursor everything is new, back to its retention.
        seen = Snapshot.before(cursor or 0)
        self._on_lead()
        logger.info("%s leads", self.name, extra={"cursor_xid": cursor})
        delay = RETRY_MIN_SECONDS
        while not stopped.is_set():
            try:
                seen = self._advance(connection, seen)
                delay = RETRY_MIN_SECONDS
            except self._outages as error:
                logger.warning(
                    "%s cannot hand on events, trying again in %.1f s: %s",
                    self.name,
                    delay,
                    describe(error),
                )
                stopped.wait(delay)
                delay = min(delay * 2, RETRY_MAX_SECONDS)
                continue
            # Wakes come by NOTIFY; polling only bounds the delay when one was lost.
            for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
                pass

    def _advance(self, connection: Connection, seen: Snapshot) -> Snapshot:
        """Hand on what became visible since `seen`; the snapshot that showed it."""
        now = self._clock()
        count = 0
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            ((shown, position),) = connection.execute(HERE).fetchall()
            snapshot = Snapshot.parse(shown)
            if snapshot == seen:
                self._on_caught_up(now)
                return seen
            with connection.cursor(name=self.name) as rows:
                rows.execute(
                    self._query,
                    {
                        "in_progress": [str(xid) for xid in seen.in_progress],
                        "xmax": str(seen.xmax),
                        "next_xmax": str(snapshot.xmax),
                        "since": now - self._retention,
                    },
                )
                while batch := rows.fetchmany(BATCH_ROWS):
                    count += len(batch)
                    self._take(batch, position)
        self._on_caught_up(now)
        if count:
            save_cursor(connection, self.name, snapshot.xmin, now)
            self._on_events()
        return snapshot
