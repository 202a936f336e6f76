"""What a tenant is told by the platform: each notification with the event that pushes it.

Belongs here: recording a notification, and that what it told of is over, in a unit of work; leaving
either in a transaction of the platform. Does not: finding what to tell (who finds it), delivering
what was left (domains/notifications/tasks.py), reading and marking (that domain).

Who publishes the lake may not write rows of tenants. It leaves a notice, which commits with what it
tells of, so that neither is without the other, and the application tells it to the tenant.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import ARRAY, Connection, Text, any_, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from shop_api.kernel.clock import format_instant
from shop_api.kernel.ids import new_id
from shop_api.models import notices, notifications, tenants
from shop_api.spine.unit_of_work import UnitOfWork

EVENT = "system_notification"
SUBJECT = "notification"
OVER = "This is over."

QUARANTINED_DATA = "quarantined_data"
LATE_PIPELINE = "late_pipeline"
FAILED_REPORT = "failed_report"
LOW_STOCK = "low_stock"
PAUSED_WEBHOOK = "paused_webhook"
KINDS = (QUARANTINED_DATA, LATE_PIPELINE, FAILED_REPORT, LOW_STOCK, PAUSED_WEBHOOK)
LEVELS = ("info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Notification:
    """What a tenant is told, in words for the merchant.

    Of one `key` a tenant has one that is not over: told again, it is not recorded again. Without a
    key it tells of an instant, and each is recorded.
    """

    kind: str
    level: Literal["info", "warning", "error"]
    title: str
    message: str
    key: str | None = None
    # where in the API more is to be seen
    action_url: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resolution:
    """That what the notification of a key told of is over."""

    key: str


Told = Notification | Resolution


def tell(work: UnitOfWork, told: Told, notification_id: UUID | None = None) -> bool:
    """In the tenant's transaction: record it and its event; False when that is nothing new."""
    if isinstance(told, Resolution):
        return resolve(work, [told.key]) > 0
    return bool(_record(work, {notification_id or new_id(work.now): told}))


def tell_anew(work: UnitOfWork, told: Iterable[Notification]) -> None:
    """In the tenant's transaction: record each and its event, in one statement. What goes on of the
    same key is over by it."""
    rows = {new_id(work.now): one for one in told}
    recorded = _record(work, rows)
    if len(recorded) < len(rows):
        again = {row_id: one for row_id, one in rows.items() if row_id not in recorded}
        resolve(work, [one.key for one in again.values() if one.key is not None])
        _record(work, again)


def resolve(work: UnitOfWork, keys: Sequence[str]) -> int:
    """In the tenant's transaction: what goes on of these keys is over, each with its event; how
    many that were. One statement, and none without keys."""
    if not keys:
        return 0
    columns = notifications.c
    rows = work.session.execute(
        update(notifications)
        .where(
            columns.tenant_id == work.tenant_id,
            columns.key == any_(literal(list(keys), ARRAY(Text))),
            columns.resolved_at.is_(None),
        )
        .values(resolved_at=work.now, version=columns.version + 1)
        .returning(columns.id, columns.kind, columns.title, columns.action_url)
    ).all()
    for row in rows:
        _announce(work, row.id, row.kind, "info", row.title, OVER, row.action_url, work.now)
    return len(rows)


def _record(work: UnitOfWork, told: Mapping[UUID, Notification]) -> set[UUID]:
    """Those recorded, each with its event: all but what goes on already."""
    values = [
        {
            "tenant_id": work.tenant_id,
            "id": row_id,
            "kind": one.kind,
            "level": one.level,
            "key": one.key,
            "title": one.title,
            "message": one.message,
            "action_url": one.action_url,
            "data": dict(one.data),
            "created_at": work.now,
            # of an instant: it was over as it was told
            "resolved_at": None if one.key is not None else work.now,
        }
        for row_id, one in told.items()
    ]
    statement = upsert(notifications).on_conflict_do_nothing().returning(notifications.c.id)
    recorded = set(work.session.execute(statement, values).scalars())
    for row_id, one in told.items():
        if row_id in recorded:
            _announce(
                work, row_id, one.kind, one.level, one.title, one.message, one.action_url, None
            )
    return recorded


def _announce(
    work: UnitOfWork,
    row_id: UUID,
    kind: str,
    level: str,
    title: str,
    message: str,
    action_url: str | None,
    resolved_at: datetime | None,
) -> None:
    data = {
        "notification_id": str(row_id),
        "kind": kind,
        "level": level,
        "title": title,
        "message": message,
        "action_url": action_url,
        "resolved_at": None if resolved_at is None else format_instant(resolved_at),
    }
    work.append(EVENT, SUBJECT, row_id, data)


def leave(connection: Connection, told: Iterable[tuple[UUID, Told]], now: datetime) -> None:
    """In the platform's open transaction: have tenants told, each in the order given here.

    A tenant that is not there any more is told nothing.
    """
    told = list(told)
    named = select(tenants.c.id).where(tenants.c.id.in_({tenant_id for tenant_id, _ in told}))
    there = set(connection.execute(named).scalars()) if told else set()
    rows = [
        {
            "id": new_id(now),
            "tenant_id": tenant_id,
            "content": {type(one).__name__: msgspec.to_builtins(one)},
            "created_at": now,
        }
        for tenant_id, one in told
        if tenant_id in there
    ]
    if rows:
        connection.execute(insert(notices), rows)


def leave_for_all(connection: Connection, told: Told, now: datetime) -> None:
    """In the platform's open transaction: have every tenant told."""
    ids = connection.execute(select(tenants.c.id).order_by(tenants.c.id)).scalars()
    leave(connection, [(tenant_id, told) for tenant_id in ids], now)


def left(content: Mapping[str, Any]) -> Told:
    """What a notice holds."""
    if "Resolution" in content:
        return msgspec.convert(content["Resolution"], Resolution)
    return msgspec.convert(content["Notification"], Notification)
