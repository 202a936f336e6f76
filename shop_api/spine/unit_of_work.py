"""One mutation, one transaction: the change, its events, its audit rows and its idempotency record.

Belongs here: what commits together, and the statement that records it. Does not: the changes
themselves (services), reading events (relay.py).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from psycopg.errors import NotNullViolation
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from shop_api.db.constraints import violated_constraint
from shop_api.db.json import encode_json
from shop_api.db.round_trips import Statement, run_together
from shop_api.db.tenancy import Repository, TenantSession, tenant_session
from shop_api.kernel.errors import DomainError
from shop_api.kernel.ids import new_id
from shop_api.spine.audit import Fields, changes_between
from shop_api.spine.resources import Touch, touched_by
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
    # the number of the unit's numbered row belongs to the data
    takes_number: bool = False


@dataclass(frozen=True, slots=True)
class PendingAudit:
    """An audit row that will be written when the unit of work commits."""

    action: str
    subject_type: str
    subject_id: UUID | None
    changes: dict[str, Any]
    # the number of the unit's numbered row belongs to what there was after
    takes_number: bool = False


@dataclass(frozen=True, slots=True)
class NumberedRow:
    """A row that takes the next of the tenant's numbers, and so is written when the unit commits.

    Whoever draws a number makes the next one wait for the commit. So the row is part of the
    statement that records the unit, which travels with COMMIT. Its SQL are CTEs, the last of them
    `resource (id, version, number, body)`; the body is the mutation's answer.
    """

    ctes: str
    parameters: dict[str, Any]
    # constraint → what its violation by this row means
    refusals: dict[str, DomainError]


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer kept under an idempotency key; `body` is ciphertext when `is_encrypted`.

    No body: it is that of the numbered row, and the ETag is added with it.
    """

    key_digest: bytes
    request_digest: bytes
    status: int
    headers: list[tuple[str, str]]
    body: bytes | None
    is_encrypted: bool
    expires_at: datetime
    # made of answers to requests that have keys of their own
    is_composed: bool = False


@dataclass(slots=True)
class UnitOfWork:
    """A tenant's transaction and what it will record about itself."""

    session: TenantSession
    origin: Origin
    events: list[PendingEvent] = field(default_factory=list)
    audits: list[PendingAudit] = field(default_factory=list)
    answer: StoredAnswer | None = None
    numbered: NumberedRow | None = None
    # the numbered row's id, version, number and body, once the unit is committed
    resource: Any = None
    # of the write-ahead log, once the unit is committed: what it wrote is before this
    position: int | None = None
    # events of another tenant were recorded in this transaction (`as_tenant`)
    has_recorded_events: bool = False
    # what changes besides what the events say
    touched: set[Touch] = field(default_factory=set)

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
        """A unit of the same transaction for another tenant: for what the platform does to it."""
        with self.session.as_tenant(tenant_id) as session:
            inner = UnitOfWork(session, replace(self.origin, tenant_id=tenant_id))
            yield inner
            record(inner)
        self.has_recorded_events |= bool(inner.events)
        self.touched |= inner.all_touched()

    def touch(self, *resources: str) -> None:
        """Kept answers made from these are old once this is committed, though no event says so.

        A process that dies between the commit and telling leaves this to their expiry; what events
        say, the relay tells again.
        """
        self.touched |= {(self.tenant_id, resource) for resource in resources}

    def all_touched(self) -> set[Touch]:
        """What changes when this commits."""
        subjects = (event.subject_type for event in self.events)
        return self.touched | touched_by(self.tenant_id, subjects)

    def append(
        self,
        type: str,
        subject_type: str,
        subject_id: UUID | None,
        data: dict[str, Any],
        *,
        takes_number: bool = False,
    ) -> None:
        """Announce something that happened; `type` is past tense (`order_created`)."""
        self.events.append(PendingEvent(type, subject_type, subject_id, data, takes_number))

    def audit(
        self,
        action: str,
        subject_type: str,
        subject_id: UUID | None,
        before: Fields,
        after: Fields,
        *,
        takes_number: bool = False,
    ) -> None:
        """Write down who did `action`, and what was there before and after (spine/audit.py)."""
        changes = changes_between(subject_type, before, after)
        audit = PendingAudit(action, subject_type, subject_id, changes, takes_number)
        self.audits.append(audit)


@contextmanager
def unit_of_work(
    engine: Engine,
    waker: Waker,
    origin: Origin,
    lock_key: int | None = None,
    first: Sequence[Statement] = (),
) -> Iterator[UnitOfWork]:
    """Open a tenant's transaction; at the end write what it recorded, commit, and tell of it.

    `lock_key` and `first` as in `tenant_session`. Where there is a replica the unit's position is
    known at the end, without a round trip of its own.
    """
    with tenant_session(engine, origin.tenant_id, lock_key, first) as session:
        work = UnitOfWork(session, origin)
        yield work
        record(work, commits=True, asks_position=waker.positions is not None)
    has_events = bool(work.events) or work.has_recorded_events
    touched = work.all_touched()
    tenant_ids = {origin.tenant_id, *(tenant_id for tenant_id, _ in touched)}
    waker.tell(touched, has_events=has_events, tenant_ids=tenant_ids, position=work.position)


# One statement whatever was recorded. Lists travel as one JSON text each: psycopg takes 10 µs for
# every array it writes. The counter is locked here, at the end, and held until the commit, which
# travels with the statement: so a tenant's events commit in the order of their sequence, and no
# other waits for a round trip. A rolled-back transaction gives its numbers back.
RECORD = """
WITH {numbered_row}counter AS MATERIALIZED (
    SELECT draw_numbers(%(tenant_id)s, 'event', %(event_count)s) AS value
    WHERE %(event_count)s > 0 {after_number}
), new_event AS (
    INSERT INTO events
        (tenant_id, sequence, type, subject_type, subject_id, data, actor, request_id)
    SELECT %(tenant_id)s, counter.value - %(event_count)s + e.position,
           e.type, e.subject_type, e.subject_id, {event_data}, %(actor)s, %(request_id)s
    FROM {resource} json_to_recordset(%(events)s::json) AS e (position bigint, type text,
        subject_type text, subject_id uuid, data jsonb, takes_number boolean)
    LEFT JOIN counter ON true
), new_audit AS (
    INSERT INTO audit_entries
        (tenant_id, id, action, subject_type, subject_id, actor, request_id, changes, created_at)
    SELECT %(tenant_id)s, a.id, a.action, a.subject_type, a.subject_id,
           %(actor)s, %(request_id)s, {audit_changes}, %(now)s
    FROM {resource} json_to_recordset(%(audits)s::json) AS a (id uuid, action text,
        subject_type text, subject_id uuid, changes jsonb, takes_number boolean)
), new_answer AS (
    INSERT INTO idempotency_records
        (tenant_id, key_digest, request_digest, status, headers, body, is_encrypted, is_composed,
         request_id, created_at, expires_at)
    SELECT %(tenant_id)s, %(key_digest)s::bytea, %(request_digest)s::bytea, %(status)s::smallint,
           {answer_headers}, {answer_body}, %(is_encrypted)s::boolean,
           %(is_composed)s::boolean, %(request_id)s, %(now)s, %(expires_at)s::timestamptz
    {from_resource} WHERE %(key_digest)s::bytea IS NOT NULL
    ON CONFLICT (tenant_id, key_digest) DO UPDATE SET
        request_digest = excluded.request_digest, status = excluded.status,
        headers = excluded.headers, body = excluded.body, is_encrypted = excluded.is_encrypted,
        is_composed = excluded.is_composed, request_id = excluded.request_id,
        created_at = excluded.created_at, expires_at = excluded.expires_at
)
SELECT {columns}
"""
NOT_NUMBERED = {
    "numbered_row": "",
    "after_number": "",
    "resource": "",
    "from_resource": "",
    "event_data": "e.data",
    "audit_changes": "a.changes",
    "answer_headers": "%(headers)s::jsonb",
    "answer_body": "%(body)s::bytea",
    "columns": "1",
}
# Whoever locks both counters locks this one last.
NUMBERED = {
    "after_number": "AND EXISTS (SELECT FROM resource)",
    "resource": "resource,",
    "from_resource": "FROM resource",
    "event_data": """CASE WHEN e.takes_number
        THEN e.data || jsonb_build_object('number', resource.number) ELSE e.data END""",
    "audit_changes": """CASE WHEN a.takes_number THEN jsonb_set(a.changes, '{after,number}',
        to_jsonb(resource.number)) ELSE a.changes END""",
    "answer_headers": """%(headers)s::jsonb || jsonb_build_array(jsonb_build_array('ETag',
        format('"%%s-%%s"', resource.version,
            left(encode(sha256(convert_to(resource.body, 'UTF8')), 'hex'), 18))))""",
    "answer_body": "convert_to(resource.body, 'UTF8')",
    "columns": "resource.* FROM resource",
}


# NULL where there is no counter to draw from
COUNTED = ("sequence", "number")


@cache
def record_sql(ctes: str | None) -> str:
    """The statement that records a unit, with the CTEs of its numbered row if it has one."""
    if ctes is None:
        return RECORD.format_map(NOT_NUMBERED)
    return RECORD.format_map({**NUMBERED, "numbered_row": f"{ctes.strip()}, "})


def record(work: UnitOfWork, *, commits: bool = False, asks_position: bool = False) -> None:
    """Write the unit's events, audit rows, stored answer and numbered row, in one statement.

    With `commits` the commit travels with it.
    """
    numbered = work.numbered
    if not (work.events or work.audits or work.answer or numbered):
        return
    statement = Statement(
        record_sql(numbered.ctes if numbered else None),
        {**(numbered.parameters if numbered else {}), **_recorded(work)},
    )
    try:
        rows, *position = run_together(
            work.connection, statement, commits=commits, asks_position=asks_position
        )
    except IntegrityError as error:
        origin = error.orig
        if isinstance(origin, NotNullViolation) and origin.diag.column_name in COUNTED:
            raise LookupError(f"tenant {work.tenant_id} lacks a counter") from error
        refusal = numbered.refusals.get(violated_constraint(error) or "") if numbered else None
        if refusal is None:
            raise
        raise refusal from error
    work.resource = rows[0] if numbered else None
    work.position = position[0][0].position if position else None


def _recorded(work: UnitOfWork) -> dict[str, Any]:
    """The parameters of the statement besides those of a numbered row."""
    answer = work.answer
    return {
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
                    "takes_number": event.takes_number,
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
                    "takes_number": audit.takes_number,
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
        "is_composed": answer.is_composed if answer else None,
        "expires_at": answer.expires_at if answer else None,
    }
