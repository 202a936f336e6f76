"""A tenant's past events, read back from Postgres for those who missed them.

Belongs here: the two reads of the spine a listener needs. Does not: the relay's read of all tenants
(spine/relay.py).
"""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Engine

from shop_api.db.tenancy import Repository, tenant_session
from shop_api.kernel.clock import format_instant
from shop_api.realtime.messages import Event
from shop_api.spine.event_data import EVENT_DATA

BATCH_ROWS = 500

POSITION = "SELECT value FROM tenant_counters WHERE tenant_id = %(tenant_id)s AND name = 'event'"

AFTER = f"""
SELECT sequence, type, {EVENT_DATA}::text AS data, recorded_at FROM events e
WHERE tenant_id = %(tenant_id)s AND sequence > %(sequence)s
  AND (%(since)s::timestamptz IS NULL OR sequence >= (
    SELECT min(k.sequence) FROM events k
    WHERE k.tenant_id = %(tenant_id)s AND k.sequence > %(sequence)s
      AND k.recorded_at >= %(since)s::timestamptz))
ORDER BY sequence LIMIT %(limit)s
"""


class EventRepository(Repository):
    """The events of one tenant."""

    def position(self) -> int:
        """The sequence of the newest event, 0 when there is none."""
        found = self.session.connection.exec_driver_sql(POSITION, {"tenant_id": self.tenant_id})
        return int(found.scalar() or 0)

    def after(self, sequence: int, since: datetime | None) -> list[Event]:
        """The next events after `sequence`, at most `BATCH_ROWS`, from the first that was recorded
        since then. Transactions take their number as they end, and their time as they begin: of
        those that follow some may be older."""
        rows = self.session.connection.exec_driver_sql(
            AFTER,
            {
                "tenant_id": self.tenant_id,
                "sequence": sequence,
                "since": since,
                "limit": BATCH_ROWS,
            },
        )
        return [
            Event(
                row.sequence,
                row.type,
                msgspec.Raw(row.data.encode()),
                format_instant(row.recorded_at),
            )
            for row in rows
        ]


class EventLog:
    """Opens a short transaction of the tenant for each read."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self.clock = clock

    def position(self, tenant_id: UUID) -> int:
        """The sequence of the tenant's newest event."""
        with tenant_session(self._engine, tenant_id) as session:
            return EventRepository(session).position()

    def after(self, tenant_id: UUID, sequence: int, since: datetime | None = None) -> list[Event]:
        """The tenant's next events after `sequence`; fewer than `BATCH_ROWS` are the last ones."""
        with tenant_session(self._engine, tenant_id) as session:
            return EventRepository(session).after(sequence, since)
