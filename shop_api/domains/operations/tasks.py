"""Housekeeping: deleting what has expired, and folding what is kept for long.

Belongs here: rows that only take room. Does not: events and audit rows, which are history.
"""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text

from shop_api.db.tenancy import tenant_session
from shop_api.models import tenants
from shop_api.spine.jobs import ScheduledJob, WorkerContext
from shop_api.spine.usage_fold import delete_usage, fold_usage, tenants_to_fold

INTERVAL_SECONDS = 3600.0
# Tables with `expires_at`: answers kept under a key (some hold a secret, encrypted) and sign-ins.
EXPIRING = ("idempotency_records", "refresh_tokens")
BATCH_ROWS = 10_000

logger = logging.getLogger(__name__)


def jobs(context: WorkerContext) -> list[ScheduledJob]:
    """The housekeeping of the worker."""
    return [
        ScheduledJob(
            name="delete_expired",
            owner="operations",
            run=lambda now: _run(context, now),
            interval_seconds=INTERVAL_SECONDS,
        )
    ]


def _run(context: WorkerContext, now: datetime) -> None:
    with context.exporter_engine.connect() as connection:
        tenant_ids = list(connection.execute(select(tenants.c.id)).scalars())
    deleted = sum(delete_expired(context, tenant_id, now) for tenant_id in tenant_ids)
    if deleted:
        logger.info("deleted %d expired rows", deleted)
    keep_usage_small(context, tenant_ids, now)


def keep_usage_small(context: WorkerContext, tenant_ids: list[UUID], now: datetime) -> None:
    """Fold the usage of old hours, and delete that of hours past their retention."""
    retention = timedelta(days=context.settings.usage_retention_days)
    for tenant_id in tenants_to_fold(context.exporter_engine, now):
        fold_usage(context.engine, tenant_id, now)
    deleted = sum(
        delete_usage(context.engine, tenant_id, now, retention) for tenant_id in tenant_ids
    )
    if deleted:
        logger.info("deleted %d rows of old usage", deleted)


def delete_expired(context: WorkerContext, tenant_id: UUID, now: datetime) -> int:
    """Delete a tenant's expired rows, as the application role; how many there were."""
    deleted = 0
    for table in EXPIRING:
        statement = text(
            f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table}"
            " WHERE tenant_id = :tenant_id AND expires_at <= :now LIMIT :batch))"
        )
        while True:
            with tenant_session(context.engine, tenant_id) as session:
                count = session.execute(
                    statement, {"tenant_id": tenant_id, "now": now, "batch": BATCH_ROWS}
                ).rowcount  # type: ignore[attr-defined]
            deleted += count
            if count < BATCH_ROWS:
                break
    return deleted
