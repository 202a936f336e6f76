"""Webhooks in the worker: who makes deliveries, who sends them, and housekeeping.

Belongs here: what runs, and deleting what is old. Does not: the work itself (shop_api/webhooks).
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from shop_api.db.round_trips import Statement
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.clock import utc_now
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.metrics.definitions import webhook_oldest_pending, webhook_pending
from shop_api.models import webhook_endpoints
from shop_api.spine.jobs import Follower, ScheduledJob, WorkerContext
from shop_api.webhooks.addresses import AllowedNetworks
from shop_api.webhooks.fan_out import FanOut
from shop_api.webhooks.sender import Means, Sender
from shop_api.webhooks.signing import SecretCipher
from shop_api.webhooks.transport import Transport

OWNER = "webhooks"
HOUSEKEEPING_SECONDS = 3600.0
BACKLOG_SECONDS = 15.0
BATCH_ROWS = 5_000

WITH_ENDPOINTS = "SELECT DISTINCT tenant_id FROM webhook_endpoints"

BACKLOG = """
SELECT count(*) AS deliveries, coalesce(extract(epoch FROM %(now)s - min(d.next_attempt_at)), 0)
    AS age_seconds
FROM webhook_deliveries d
JOIN webhook_endpoints w ON w.tenant_id = d.tenant_id AND w.id = d.endpoint_id
WHERE d.state = 'pending' AND d.next_attempt_at <= %(now)s AND w.status = 'active'
  AND (w.blocked_until IS NULL OR w.blocked_until <= %(now)s)
"""

# What waits for an endpoint that stays paused.
EXPIRE = """
WITH expired AS (
    UPDATE webhook_deliveries SET state = 'failed', next_attempt_at = NULL, finished_at = %(now)s,
        version = version + 1
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM webhook_deliveries WHERE tenant_id = %(tenant_id)s
          AND state = 'pending' AND expires_at <= %(now)s LIMIT %(limit)s))
    RETURNING 1
)
SELECT count(*) AS rows FROM expired
"""

DELETE = """
WITH gone AS (
    DELETE FROM webhook_deliveries WHERE ctid = ANY(ARRAY(
        SELECT d.ctid FROM webhook_deliveries d
        JOIN webhook_endpoints w ON w.tenant_id = d.tenant_id AND w.id = d.endpoint_id
        WHERE d.tenant_id = %(tenant_id)s
          AND (d.created_at < %(before)s AND d.state <> 'pending' OR w.status = 'deleted')
        LIMIT %(limit)s))
    RETURNING 1
)
SELECT count(*) AS rows FROM gone
"""

FORGET = """
DELETE FROM webhook_endpoints w WHERE w.tenant_id = %(tenant_id)s AND w.status = 'deleted'
  AND NOT EXISTS (SELECT FROM webhook_deliveries d
      WHERE d.tenant_id = w.tenant_id AND d.endpoint_id = w.id)
"""


def jobs(context: WorkerContext) -> list[ScheduledJob | Follower]:
    """What the worker runs of webhooks."""
    settings = context.settings
    url = str(settings.exporter_database_url)
    fan_out = FanOut(
        url,
        context.engine,
        context.exporter_engine,
        retention_seconds=timedelta(days=settings.webhook_retention_days).total_seconds(),
        clock=utc_now,
    )
    networks = AllowedNetworks.of(settings.webhook_allowed_networks)
    cipher = SecretCipher(SecretKeys.of(str(settings.secret_key), settings.accepted_secret_keys))
    sender = Sender(
        url,
        Means(
            engine=context.engine,
            exporter_engine=context.exporter_engine,
            waker=context.waker,
            cipher=cipher,
            make_transport=lambda: Transport(networks),
            clock=utc_now,
        ),
    )
    return [
        Follower("webhook_fan_out", OWNER, fan_out.run, fan_out.stop),
        Follower("webhook_sender", OWNER, sender.run, sender.stop),
        ScheduledJob(
            name="webhook_backlog",
            owner=OWNER,
            run=lambda now: measure_backlog(context, now),
            interval_seconds=BACKLOG_SECONDS,
        ),
        ScheduledJob(
            name="webhook_housekeeping",
            owner=OWNER,
            run=lambda now: keep_house(context, cipher, now),
            interval_seconds=HOUSEKEEPING_SECONDS,
        ),
    ]


def measure_backlog(context: WorkerContext, now: datetime) -> None:
    """Tell what is due and not sent yet, and for how long."""
    with context.exporter_engine.connect() as connection:
        (found,) = connection.exec_driver_sql(BACKLOG, {"now": now})
    webhook_pending.set(found.deliveries)
    webhook_oldest_pending.set(float(found.age_seconds))


def keep_house(context: WorkerContext, cipher: SecretCipher, now: datetime) -> None:
    """End what nobody sends any more, delete what is old, and encrypt with the newest key."""
    with context.exporter_engine.connect() as connection:
        tenant_ids = list(connection.exec_driver_sql(WITH_ENDPOINTS).scalars())
    before = now - timedelta(days=context.settings.webhook_retention_days)
    for tenant_id in tenant_ids:
        values = {"tenant_id": tenant_id, "now": now, "before": before, "limit": BATCH_ROWS}
        for statement in (EXPIRE, DELETE):
            while _rows(context, tenant_id, Statement(statement, values)) == BATCH_ROWS:
                if context.stopping.is_set():
                    return
        with tenant_session(context.engine, tenant_id) as session:
            session.fetch_together(Statement(FORGET, {"tenant_id": tenant_id}))
        renew_secrets(context, cipher, tenant_id)


def _rows(context: WorkerContext, tenant_id: UUID, statement: Statement) -> int:
    with tenant_session(context.engine, tenant_id, first=(statement,)) as session:
        ((found,),) = session.first_rows
    return int(found.rows)


def renew_secrets(context: WorkerContext, cipher: SecretCipher, tenant_id: UUID) -> None:
    """Encrypt a tenant's secrets with the installation's newest key, so that older ones may go."""
    columns = webhook_endpoints.c
    names = ("secret", "previous_secret")
    with tenant_session(context.engine, tenant_id) as session:
        query = select(columns.id, *(columns[name] for name in names)).where(
            columns.tenant_id == tenant_id, columns.status != "deleted"
        )
        for row in session.execute(query.with_for_update()).all():
            renewed = {
                name: new
                for name in names
                if (kept := getattr(row, name)) and (new := cipher.renew(bytes(kept)))
            }
            if renewed:
                change = webhook_endpoints.update().where(
                    columns.tenant_id == tenant_id, columns.id == row.id
                )
                session.execute(change.values(renewed))
