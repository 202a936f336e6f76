"""Reading the published snapshot of the lake, and hearing of the next one.

Belongs here: SQL on lake_snapshots and LISTEN, whether a tenant is held back from what is
published, and what a process has read of both. Does not: what is made of a snapshot (service.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any, Optional
from uuid import UUID

import psycopg
from sqlalchemy import Engine, Row, select

from analytics.lake import NEVER, Snapshot
from shop_api.db.tenancy import Repository
from shop_api.models import lake_quarantine, lake_snapshots

# Whoever publishes a snapshot notifies this channel.
CHANNEL = "lake"
# A lost notification, and an `as_of` that moved on without new figures, are seen after this.
POLL_SECONDS = 1.0

NEWEST = "SELECT id, as_of, versions, held_tenants FROM lake_snapshots ORDER BY id DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Present:
    """A snapshot, and what a process knows of tenants in it, by their ids as far as they asked.

    A tenant's figures are never of an earlier instant in a later snapshot: what was seen of one is
    true of the next, while nothing newer is known.
    """

    snapshot: Snapshot
    held_tenants: int
    # what their files amount to
    fingerprints: dict[int, str] = field(default_factory=dict)
    # of which instant it is to them while any tenant is held back
    seen: dict[int, datetime] = field(default_factory=dict)
    # the same of the snapshots before, and of the last one from which none was held back
    known: dict[int, datetime] = field(default_factory=dict)
    known_of_all: datetime | None = None
    # by another present one
    is_followed: Event = field(default_factory=Event)

    @staticmethod
    def after(before: Optional["Present"], snapshot: Snapshot, held_tenants: int) -> "Present":
        """What follows upon the present one, if there was one."""
        if before is None:
            return Present(snapshot, held_tenants)
        if (before.snapshot, before.held_tenants) == (snapshot, held_tenants):
            return before
        is_same = before.snapshot.id == snapshot.id
        fingerprints = before.fingerprints if is_same else {}
        if before.held_tenants:
            known, known_of_all = before.known | before.seen, before.known_of_all
        else:
            known, known_of_all = {}, before.snapshot.as_of
        return Present(snapshot, held_tenants, fingerprints, {}, known, known_of_all)

    def seen_as_of(self, tenant_id: UUID) -> datetime | None:
        """Of which instant it is to a tenant; None where that is not asked yet."""
        return self.seen.get(tenant_id.int) if self.held_tenants else self.snapshot.as_of

    def known_as_of(self, tenant_id: UUID) -> datetime | None:
        """An instant of which it is at least; None where nothing was known before."""
        return self.known.get(tenant_id.int, self.known_of_all)

    def see(self, tenant_id: UUID, found: Row[Any] | None) -> datetime | None:
        """The same by what is read of the tenant's hold; None where that is of a later snapshot."""
        if found is None:
            return None
        is_present = (found.id, found.newest_as_of) == (self.snapshot.id, self.snapshot.as_of)
        if not found.is_held and not is_present:
            # the hold may have ended with the later one
            return None
        as_of = self.snapshot.as_of
        if found.is_held:
            as_of = min(as_of, found.held_as_of or NEVER)
        self.seen[tenant_id.int] = as_of
        return as_of


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
        """The newest snapshot, and of when the tenant's figures are in it while they are held."""
        newest, held = lake_snapshots.c, lake_quarantine.c
        found = select(newest.id, newest.as_of).order_by(newest.id.desc()).limit(1).subquery()
        columns = (
            found.c.id,
            found.c.as_of.label("newest_as_of"),
            held.tenant_id.is_not(None).label("is_held"),
            held.as_of.label("held_as_of"),
        )
        is_its = held.tenant_id == self.tenant_id
        statement = select(*columns).select_from(found.outerjoin(lake_quarantine, is_its))
        return self.session.execute(statement).one_or_none()
