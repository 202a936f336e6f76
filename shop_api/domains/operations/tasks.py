"""Housekeeping: deleting what has expired.

Belongs here: rows that only take room. Does not: events and audit rows, which are history.
"""

import logging
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text

from shop_api.db.tenancy import tenant_session
from shop_api.models import tenants
from shop_api.spine.jobs import ScheduledJob, WorkerContext

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
