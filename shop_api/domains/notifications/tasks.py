"""Telling tenants what the platform's transactions have left for them.

Belongs here: delivering notices, each once and in order for each tenant. Does not: what they say
(spine/notifications.py and who leaves them).

A notice is deleted after its tenant's transaction, and locked until then: who comes late with it
finds it gone. A worker that died between the two tells it again, which finds that it was told: a
notification has the notice's id.
"""

import logging
from uuid import UUID

from sqlalchemy import delete, select

from shop_api.db.types import AnyRow
from shop_api.models import notices
from shop_api.spine.jobs import ScheduledJob, WorkerContext
from shop_api.spine.notifications import left, tell
from shop_api.spine.unit_of_work import Origin, unit_of_work

JOB = "deliver_notices"
ACTOR = "system:notifications"
INTERVAL_SECONDS = 2.0
FRESHNESS_SECONDS = 120.0
BATCH_ROWS = 500

logger = logging.getLogger(__name__)


def jobs(context: WorkerContext) -> list[ScheduledJob]:
    """The schedule of this domain."""
    return [
        ScheduledJob(
            name=JOB,
            owner="notifications",
            run=lambda _: deliver(context),
            interval_seconds=INTERVAL_SECONDS,
            freshness_limit_seconds=FRESHNESS_SECONDS,
        )
    ]


def deliver(context: WorkerContext) -> None:
    """Tell all that waits. A tenant for whom that fails does not hold up the others."""
    failed: set[UUID] = set()
    after = -1
    while rows := _next(context, after):
        for row in rows:
            if context.stopping.is_set():
                return
            # in order: what follows waits for what failed
            if row.tenant_id in failed:
                continue
            try:
                _deliver(context, row)
            except Exception:
                failed.add(row.tenant_id)
                logger.exception("cannot tell tenant %s", row.tenant_id)
        after = rows[-1].number
    if failed:
        raise RuntimeError(f"{len(failed)} tenants could not be told; see the log")


def _next(context: WorkerContext, after: int) -> list[AnyRow]:
    columns = notices.c
    query = (
        select(columns.id, columns.tenant_id, columns.number, columns.content, columns.created_at)
        .where(columns.number > after)
        .order_by(columns.number)
        .limit(BATCH_ROWS)
    )
    with context.exporter_engine.connect() as connection:
        return list(connection.execute(query))


def _deliver(context: WorkerContext, row: AnyRow) -> None:
    # `now` is when it was found
    origin = Origin(row.tenant_id, ACTOR, f"notice-{row.id}", row.created_at)
    with context.exporter_engine.begin() as connection:
        columns = notices.c
        waits = delete(notices).where(columns.tenant_id == row.tenant_id, columns.id == row.id)
        if connection.execute(waits.returning(columns.id)).first() is None:
            # told over again after what followed it, it would take that back
            return
        with unit_of_work(context.engine, context.waker, origin) as work:
            tell(work, left(row.content), row.id)
