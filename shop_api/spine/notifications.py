"""What a tenant is told by the platform: each notification with the event that pushes it.

Belongs here: recording a notification, and that what it told of is over, in a unit of work; leaving
either in a transaction of the platform. Does not: finding what to tell (who finds it), delivering
what was left (domains/notifications/tasks.py), reading and marking (that domain).

Who publishes the lake may not write rows of tenants. It leaves a notice, which commits with what it
tells of, so that neither is without the other, and the application tells it to the tenant.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Connection, insert, select, update
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
        return _resolve(work, told.key)
    row_id = notification_id or new_id(work.now)
    values = {
        "tenant_id": work.tenant_id,
        "id": row_id,
        "kind": told.kind,
        "level": told.level,
        "key": told.key,
        "title": told.title,
        "message": told.message,
        "action_url": told.action_url,
        "data": dict(told.data),
        "created_at": work.now,
        # of an instant: it was over as it was told
        "resolved_at": None if told.key is not None else work.now,
    }
    statement = upsert(notifications).values(values).on_conflict_do_nothing()
    if work.session.execute(statement.returning(notifications.c.id)).first() is None:
        return False
    _announce(work, row_id, told.kind, told.level, told.title, told.message, told.action_url, None)
    return True


def _resolve(work: UnitOfWork, key: str) -> bool:
    columns = notifications.c
    row = work.session.execute(
        update(notifications)
        .where(
            columns.tenant_id == work.tenant_id, columns.key == key, columns.resolved_at.is_(None)
        )
        .values(resolved_at=work.now, version=columns.version + 1)
        .returning(columns.id, columns.kind, columns.title, columns.action_url)
    ).first()
    if row is None:
        return False
    _announce(work, row.id, row.kind, "info", row.title, OVER, row.action_url, work.now)
    return True


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
