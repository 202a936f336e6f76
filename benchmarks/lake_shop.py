"""Tenants of a prepared lake, served: their records and keys in Postgres, the lake's snapshot.

Belongs here: what the api needs to answer from the lake. Does not: making the lake (lake_data.py)
and its orders in Postgres (postgres_copy.py).
"""

import json
from datetime import UTC, datetime
from uuid import UUID

import psycopg

from benchmarks.lake_data import TIMEZONE, LakeData
from benchmarks.lake_rows import CURRENCY
from benchmarks.servers import Stores
from benchmarks.shop import BenchShop
from shop_api.db.engines import make_engine
from shop_api.db.request_redis import RequestRedis
from shop_api.db.tenancy import PLATFORM_TENANT
from shop_api.domains.api_keys.service import OPERATOR, create_key
from shop_api.domains.tenants.repository import TenantRepository
from shop_api.kernel.clock import utc_now
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.spine.versions import ResourceVersions
from shop_api.spine.waker import Waker
from tests.factories.limits import UNLIMITED

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)

PUBLISH = """
INSERT INTO lake_snapshots (as_of, versions, xid, transactions, system_identifier)
SELECT %s, %s, pg_current_xact_id(), pg_current_snapshot()::text, system_identifier
FROM pg_control_system()
"""
CUT_BY_MONTH = """
INSERT INTO lake_partitions (tenant_id, grain, updated_at) VALUES (%s, 'month', now())
"""


def open_shop(stores: Stores, data: LakeData) -> BenchShop:
    """The largest tenant with a key, and the lake published as it is."""
    shop = add_tenant(stores, data.tenant_ids[0])
    with psycopg.connect(stores.postgres.exporter_url, autocommit=True) as connection:
        for tenant_id in data.month_tenant_ids:
            connection.execute(CUT_BY_MONTH, (tenant_id,))
        connection.execute(PUBLISH, (AS_OF, json.dumps(data.versions)))
    return shop


def add_tenant(stores: Stores, tenant_id: UUID) -> BenchShop:
    """A tenant of that id, with a key."""
    settings = stores.settings()
    engine = make_engine(stores.postgres.application_url, settings, statement_timeout_seconds=60)
    waker = Waker(stores.postgres.application_url, ResourceVersions(RequestRedis(stores.redis_url)))
    now = utc_now()
    values = {
        "name": "Lake",
        "slug": f"lake-{tenant_id}",
        "plan": "enterprise",
        "rate_limits": UNLIMITED,
        "currency": CURRENCY,
        "timezone": TIMEZONE,
        "created_at": now,
        "updated_at": now,
    }
    platform = Origin(PLATFORM_TENANT, "system:bench", "bench", now)
    with unit_of_work(engine, waker, platform) as work, work.as_tenant(tenant_id) as inner:
        inner.repository(TenantRepository).add(values)
    with unit_of_work(engine, waker, Origin(tenant_id, "system:bench", "bench", now)) as work:
        key, _ = create_key(work, "bench", "secret", None, None, OPERATOR)
    waker.stop()
    engine.dispose()
    return BenchShop(tenant_id, key)


def lake_environment(stores: Stores, data: LakeData) -> dict[str, str]:
    """What a server of that lake needs to know."""
    return {**stores.environment(), "SHOP_LAKE_URL": data.location}
