"""What of each product is available, kept in its row: lists are sorted by it.

Belongs here: following the spine to the products whose stock moved. Does not: moving stock. Orders
do not write the product's row themselves, but for one that is no more in stock: two of one product
would wait for each other.
"""

import logging
from collections import defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import select, text

from shop_api.db.tenancy import tenant_session
from shop_api.models import tenants
from shop_api.spine.cursors import Snapshot, find_cursor, save_cursor
from shop_api.spine.jobs import ScheduledJob, WorkerContext
from shop_api.spine.resources import STOCK

JOB = "available_quantities"
INTERVAL_SECONDS = 10.0
FRESHNESS_SECONDS = 120.0
# of one transaction: an edit of one of them waits no longer than these take
BATCH_ROWS = 1000

# A batch names its products in data["ids"]. Rows restored from another server may carry xids that
# this one has not reached: they are not new.
FIND_MOVED = """
SELECT DISTINCT e.tenant_id, coalesce((e.data->>'product_id')::uuid, e.subject_id, b.id::uuid)
FROM events e
LEFT JOIN LATERAL jsonb_array_elements_text(
    CASE WHEN e.subject_id IS NULL AND jsonb_typeof(e.data->'ids') = 'array'
    THEN e.data->'ids' END) AS b (id) ON true
WHERE e.xid >= %(xid)s::text::xid8 AND e.xid < pg_snapshot_xmax(pg_current_snapshot())
  AND e.subject_type IN ('product', 'inventory')
"""

# Only rows that differ are locked and written, in id order, as edits of many products lock them.
REFRESH = text("""
WITH level AS (
    SELECT v.product_id, sum(s.quantity - s.reserved) AS available_quantity
    FROM variants v JOIN stock_levels s ON s.tenant_id = v.tenant_id AND s.variant_id = v.id
    WHERE v.tenant_id = :tenant_id AND v.product_id = ANY(:ids)
    GROUP BY v.product_id
), moved AS (
    SELECT p.id, coalesce(l.available_quantity, 0) AS available_quantity
    FROM products p LEFT JOIN level l ON l.product_id = p.id
    WHERE p.tenant_id = :tenant_id AND p.id = ANY(:ids)
        AND p.available_quantity <> coalesce(l.available_quantity, 0)
    ORDER BY p.id FOR NO KEY UPDATE OF p
)
UPDATE products p SET available_quantity = m.available_quantity
FROM moved m WHERE p.tenant_id = :tenant_id AND p.id = m.id
RETURNING p.id
""")

logger = logging.getLogger(__name__)


def jobs(context: WorkerContext) -> list[ScheduledJob]:
    """The schedule of this domain."""
    return [
        ScheduledJob(
            name=JOB,
            owner="inventory",
            run=lambda now: refresh_available(context, now),
            interval_seconds=INTERVAL_SECONDS,
            wake_on_events=True,
            freshness_limit_seconds=FRESHNESS_SECONDS,
        )
    ]


def refresh_available(context: WorkerContext, now: datetime) -> None:
    """Bring the products whose stock moved since the last run to what lies there.

    A run that fails begins again where it began: what it has done is then found to be right.
    """
    with context.exporter_engine.begin() as connection:
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        xid = find_cursor(driver, JOB)
        row = driver.execute("SELECT pg_current_snapshot()::text").fetchone()
        assert row is not None
        seen = Snapshot.parse(row[0])
        moved: dict[UUID, list[UUID]] = defaultdict(list)
        if xid is not None:
            for tenant_id, product_id in driver.execute(FIND_MOVED, {"xid": str(xid)}):
                moved[tenant_id].append(product_id)
        known = list(connection.execute(select(tenants.c.id)).scalars()) if xid is None else []
    for tenant_id in known:
        # never run here: everything may have moved
        with tenant_session(context.engine, tenant_id) as session:
            query = text("SELECT id FROM products WHERE tenant_id = :tenant_id")
            moved[tenant_id] = list(session.execute(query, {"tenant_id": tenant_id}).scalars())
    for tenant_id, ids in moved.items():
        for first in range(0, len(ids), BATCH_ROWS):
            with tenant_session(context.engine, tenant_id) as session:
                batch = sorted(ids[first : first + BATCH_ROWS])
                values = {"tenant_id": tenant_id, "ids": batch}
                has_moved = session.execute(REFRESH, values).first() is not None
            if has_moved:
                context.waker.tell({(tenant_id, STOCK)}, has_events=False)
    with context.exporter_engine.begin() as connection:
        driver = connection.connection.driver_connection  # type: ignore[assignment]
        save_cursor(driver, JOB, seen.xmin, now)
