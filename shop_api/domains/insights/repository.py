"""Reading the published snapshot of the lake, and hearing of the next one.

Belongs here: SQL on lake_snapshots and LISTEN, and whether a tenant is held back from what is
published. Does not: what is made of a snapshot (service.py).
"""

from collections.abc import Callable
from threading import Event
from typing import Any

import psycopg
from sqlalchemy import Engine, Row, select

from analytics.lake import Snapshot
from shop_api.db.tenancy import Repository
from shop_api.models import lake_quarantine, lake_snapshots

# Whoever publishes a snapshot notifies this channel.
CHANNEL = "lake"
# A lost notification, and an `as_of` that moved on without new figures, are seen after this.
POLL_SECONDS = 1.0

NEWEST = "SELECT id, as_of, versions, held_tenants FROM lake_snapshots ORDER BY id DESC LIMIT 1"


def follow_snapshots(
    url: str, on_snapshot: Callable[[Snapshot | None, int], None], stopped: Event
) -> None:
    """Hand over the newest snapshot, and how many tenants are held back from it, at once and
    whenever that may have changed, until stopped."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        while not stopped.is_set():
            row = connection.execute(NEWEST).fetchone()
            if row is None:
                on_snapshot(None, 0)
            else:
                on_snapshot(Snapshot(*row[:3]), row[3])
            for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
                break


def find_snapshot(engine: Engine, snapshot_id: int) -> Snapshot | None:
    """A published snapshot by its id, unless its record is deleted."""
    columns = lake_snapshots.c
    statement = select(columns.id, columns.as_of, columns.versions).where(columns.id == snapshot_id)
    with engine.connect() as connection:
        row = connection.execute(statement).one_or_none()
    return Snapshot(row.id, row.as_of, row.versions) if row is not None else None


class HoldRepository(Repository):
    """Whether the tenant's data is refused."""

    def find(self) -> Row[Any] | None:
        """Of when its figures then are, None for never; no row while it is not held back."""
        columns = lake_quarantine.c
        statement = select(columns.as_of).where(columns.tenant_id == self.tenant_id)
        return self.session.execute(statement).one_or_none()
