"""Usage of hours that are long over: one row for all processes, and none after its retention.

Belongs here: folding rows and deleting them. Does not: when (operations' tasks), writing them
(usage.py). A process writes an hour for `WRITABLE` after its beginning, a fold takes it after
`FOLDED_AFTER`, both by Postgres's clock: no row is written that was folded, nor while it is.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from shop_api.db.round_trips import Statement
from shop_api.db.tenancy import tenant_session
from shop_api.models.usage import ALL_PROCESSES
from shop_api.spine.usage import WRITABLE

FOLDED_AFTER = 2 * WRITABLE
BATCH_ROWS = 10_000

# The worker's clock alone could be ahead of that which lets processes write.
BEFORE = "least(%(now)s::timestamptz, now()) - %(after)s::interval"
UNFOLDED = f"process_id <> '{ALL_PROCESSES}'"

# Read by the exporter, of all tenants.
TENANTS = f"SELECT DISTINCT tenant_id FROM api_usage WHERE {UNFOLDED} AND hour < {BEFORE}"

# A day of hours, from the oldest on.
FOLD = f"""
WITH oldest AS (
    SELECT min(hour) AS hour FROM api_usage
    WHERE tenant_id = %(tenant_id)s AND {UNFOLDED} AND hour < {BEFORE}
), taken AS (
    DELETE FROM api_usage u USING oldest
    WHERE tenant_id = %(tenant_id)s AND {UNFOLDED} AND u.hour >= oldest.hour
      AND u.hour < least(oldest.hour + interval '1 day', {BEFORE})
    RETURNING u.*
), folded AS (
    INSERT INTO api_usage AS u (tenant_id, hour, method, route, status_class, process_id, requests,
        refusals, cache_hits, request_bytes, response_bytes, duration_microseconds)
    SELECT tenant_id, hour, method, route, status_class, '{ALL_PROCESSES}', sum(requests),
        sum(refusals), sum(cache_hits), sum(request_bytes), sum(response_bytes),
        sum(duration_microseconds)
    FROM taken GROUP BY tenant_id, hour, method, route, status_class
    ON CONFLICT (tenant_id, hour, method, route, status_class, process_id) DO UPDATE SET
        requests = u.requests + excluded.requests, refusals = u.refusals + excluded.refusals,
        cache_hits = u.cache_hits + excluded.cache_hits,
        request_bytes = u.request_bytes + excluded.request_bytes,
        response_bytes = u.response_bytes + excluded.response_bytes,
        duration_microseconds = u.duration_microseconds + excluded.duration_microseconds,
        xid = excluded.xid
)
SELECT count(*) AS rows FROM taken
"""

DELETE = f"""
WITH gone AS (
    DELETE FROM api_usage WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM api_usage WHERE tenant_id = %(tenant_id)s AND hour < {BEFORE}
        LIMIT {BATCH_ROWS}
    )) RETURNING 1
)
SELECT count(*) AS rows FROM gone
"""


def tenants_to_fold(exporter_engine: Engine, now: datetime) -> list[UUID]:
    """Tenants with rows that `fold_usage` puts together."""
    with exporter_engine.connect() as connection:
        values = {"now": now, "after": FOLDED_AFTER}
        return list(connection.exec_driver_sql(TENANTS, values).scalars())


def fold_usage(engine: Engine, tenant_id: UUID, now: datetime) -> int:
    """Put a tenant's rows of old hours together, whatever process wrote them; how many there were.

    A transaction takes them away and adds their sums: readers see all of the one or the other.
    """
    return _until_none(engine, FOLD, tenant_id, now, FOLDED_AFTER)


def delete_usage(engine: Engine, tenant_id: UUID, now: datetime, retention: timedelta) -> int:
    """Delete a tenant's usage of hours before `retention`; how many rows there were."""
    return _until_none(engine, DELETE, tenant_id, now, retention)


def _until_none(
    engine: Engine, statement: str, tenant_id: UUID, now: datetime, after: timedelta
) -> int:
    values: dict[str, Any] = {"tenant_id": tenant_id, "now": now, "after": after}
    total = 0
    while True:
        with tenant_session(engine, tenant_id, first=(Statement(statement, values),)) as session:
            ((found,),) = session.first_rows
        if not found.rows:
            return total
        total += found.rows
