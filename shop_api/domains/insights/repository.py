"""Reading the published snapshot of the lake, and hearing of the next one.

Belongs here: SQL on lake_snapshots and LISTEN. Does not: what is made of a snapshot (service.py).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Event
from uuid import UUID

import psycopg
from sqlalchemy import Engine, select

from analytics.lake import Snapshot
from shop_api.models import lake_snapshots

# Tenants whose data is refused, and of when their figures are; None: of never.
Held = Mapping[UUID, datetime | None]
# Whoever publishes a snapshot notifies this channel.
CHANNEL = "lake"
# A lost notification, and an `as_of` that moved on without new figures, are seen after this.
POLL_SECONDS = 1.0

NEWEST = """
SELECT s.id, s.as_of, s.versions,
    ARRAY(SELECT tenant_id FROM lake_quarantine ORDER BY tenant_id),
    ARRAY(SELECT as_of FROM lake_quarantine ORDER BY tenant_id)
FROM lake_snapshots s ORDER BY s.id DESC LIMIT 1
"""


def follow_snapshots(
    url: str, on_snapshot: Callable[[Snapshot | None, Held], None], stopped: Event
) -> None:
    """Hand over the newest snapshot at once and whenever it may have changed, until stopped."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        while not stopped.is_set():
            row = connection.execute(NEWEST).fetchone()
            if row is None:
                on_snapshot(None, {})
            else:
                on_snapshot(Snapshot(*row[:3]), dict(zip(*row[3:], strict=True)))
            for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
                break


def find_snapshot(engine: Engine, snapshot_id: int) -> Snapshot | None:
    """A published snapshot by its id, unless its record is deleted."""
    columns = lake_snapshots.c
    statement = select(columns.id, columns.as_of, columns.versions).where(columns.id == snapshot_id)
    with engine.connect() as connection:
        row = connection.execute(statement).one_or_none()
    return Snapshot(row.id, row.as_of, row.versions) if row is not None else None
