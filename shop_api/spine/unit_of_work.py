"""One mutation, one transaction: the change, its events, its audit rows and its idempotency record.

Belongs here: what commits together, and the statement that records it. Does not: the changes
themselves (services), reading events (relay.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine

from shop_api.db.json import encode_json
from shop_api.db.tenancy import Repository, TenantSession, tenant_session
from shop_api.kernel.ids import new_id
from shop_api.spine.audit import Fields, changes_between
from shop_api.spine.waker import Waker

R = TypeVar("R", bound=Repository)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks, by which request, and when: stored on the events and audit rows it causes."""

    tenant_id: UUID
    # "user:<id>", "api_key:<id>" or "system:<what>"
    actor: str
    request_id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event that will be appended when the unit of work commits."""

    type: str
    subject_type: str
    subject_id: UUID | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PendingAudit:
    """An audit row that will be written when the unit of work commits."""

    action: str
    subject_type: str
    subject_id: UUID | None
    changes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer kept under an idempotency key; `body` is ciphertext when `is_encrypted`."""

    key_digest: bytes
    request_digest: bytes
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    is_encrypted: bool
    expires_at: datetime


@dataclass(slots=True)
class UnitOfWork:
    """A tenant's transaction and what it will record about itself."""

    session: TenantSession
    origin: Origin
    events: list[PendingEvent] = field(default_factory=list)
    audits: list[PendingAudit] = field(default_factory=list)
    answer: StoredAnswer | None = None
    # events of another tenant were recorded in this transaction (`as_tenant`)
    has_recorded_events: bool = False

    @property
    def tenant_id(self) -> UUID:
        return self.origin.tenant_id

    @property
    def now(self) -> datetime:
        return self.origin.now

    @property
    def connection(self) -> Connection:
        return self.session.connection

    def repository(self, kind: type[R]) -> R:
        """A repository of this transaction's tenant."""
        return kind(self.session)

    @contextmanager
    def as_tenant(self, tenant_id: UUID) -> "Iterator[UnitOfWork]":
        """A unit of the same transaction for another tenant: only for making one."""
        with self.session.as_tenant(tenant_id) as session:
            inner = UnitOfWork(session, replace(self.origin, tenant_id=tenant_id))
            yield inner
            record(inner)
        self.has_recorded_events |= bool(inner.events)

    def append(
        self, type: str, subject_type: str, subject_id: UUID | None, data: dict[str, Any]
    ) -> None:
        """Announce something that happened; `type` is past tense (`order_created`)."""
        self.events.append(PendingEvent(type, subject_type, subject_id, data))

    def audit(
        self,
        action: str,
        subject_type: str,
        subject_id: UUID | None,
        before: Fields,
        after: Fields,
    ) -> None:
        """Write down who did `action`, and what was there before and after (spine/audit.py)."""
        changes = changes_between(subject_type, before, after)
        self.audits.append(PendingAudit(action, subject_type, subject_id, changes))


@contextmanager
def unit_of_work(
    engine: Engine, waker: Waker, origin: Origin, lock_key: int | None = None
) -> Iterator[UnitOfWork]:
    """Open a tenant's transaction; at the end write what it recorded, commit, wake the readers.

    `lock_key` as in `tenant_session`.
    """
    with tenant_session(engine, origin.tenant_id, lock_key) as session:
        work = UnitOfWork(session, origin)
        yield work
        record(work)
    if work.events or work.has_recorded_events:
        waker.wake()


# One statement whatever was recorded. Lists travel as one JSON text each: psycopg takes 10 µs for
# every array it writes. The counter is locked here, at the end, and held until the
# commit, so that a tenant's events commit in the order of their sequence; a rolled-back transaction
# gives its numbers back.
RECORD = """
WITH counter AS (
    UPDATE tenant_counters SET value = value + %(event_count)s
    WHERE tenant_id = %(tenant_id)s AND name = 'event' AND %(event_count)s > 0
    RETURNING value
), new_event AS (
    INSERT INTO events
        (tenant_id, sequence, type, subject_type, subject_id, data, actor, request_id)
    SELECT %(tenant_id)s, counter.value - %(event_count)s + e.position,
           e.type, e.subject_type, e.subject_id, e.data, %(actor)s, %(request_id)s
    FROM counter, json_to_recordset(%(events)s::json)
        AS e (position bigint, type text, subject_type text, subject_id uuid, data jsonb)
), new_audit AS (
    INSERT INTO audit_entries
        (tenant_id, id, action, subject_type, subject_id, actor, request_id, changes, created_at)
    SELECT %(tenant_id)s, a.id, a.action, a.subject_type, a.subject_id,
           %(actor)s, %(request_id)s, a.changes, %(now)s
    FROM json_to_recordset(%(audits)s::json)
        AS a (id uuid, action text, subject_type text, subject_id uuid, changes jsonb)
), new_answer AS (
    INSERT INTO idempotency_records
        (tenant_id, key_digest, request_digest, status, headers, body, is_encrypted, request_id,
         created_at, expires_at)
    SELECT %(tenant_id)s, %(key_digest)s::bytea, %(request_digest)s::bytea, %(status)s::smallint,
           %(headers)s::jsonb, %(body)s::bytea, %(is_encrypted)s::boolean, %(request_id)s, %(now)s,
           %(expires_at)s::timestamptz
    WHERE %(key_digest)s::bytea IS NOT NULL
    ON CONFLICT (tenant_id, key_digest) DO UPDATE SET
        request_digest = excluded.request_digest, status = excluded.status,
        headers = excluded.headers, body = excluded.body, is_encrypted = excluded.is_encrypted,
        request_id = excluded.request_id, created_at = excluded.created_at,
        expires_at = excluded.expires_at
)
SELECT value FROM counter
"""


def record(work: UnitOfWork) -> None:
    """Write the unit's events, audit rows and stored answer, in one statement."""
    answer = work.answer
    if not (work.events or work.audits or answer):
        return
    row = work.connection.exec_driver_sql(
        RECORD,
        {
            "tenant_id": work.tenant_id,
            "actor": work.origin.actor,
            "request_id": work.origin.request_id,
            "now": work.now,
            "event_count": len(work.events),
            "events": encode_json(
                [
                    {
                        "position": position,
                        "type": event.type,
                        "subject_type": event.subject_type,
                        "subject_id": event.subject_id,
                        "data": event.data,
                    }
                    for position, event in enumerate(work.events, 1)
                ]
            ),
            "audits": encode_json(
                [
                    {
                        "id": new_id(work.now),
                        "action": audit.action,
                        "subject_type": audit.subject_type,
                        "subject_id": audit.subject_id,
                        "changes": audit.changes,
                    }
                    for audit in work.audits
                ]
            ),
            "key_digest": answer.key_digest if answer else None,
            "request_digest": answer.request_digest if answer else None,
            "status": answer.status if answer else None,
            "headers": encode_json(answer.headers) if answer else None,
            "body": answer.body if answer else None,
            "is_encrypted": answer.is_encrypted if answer else None,
            "expires_at": answer.expires_at if answer else None,
        },
    ).first()
    if work.events and row is None:
        raise LookupError(f"tenant {work.tenant_id} has no event counter")
