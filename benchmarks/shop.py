"""A shop to measure: a tenant with a key and any number of products, written straight to Postgres.

Belongs here: the data benchmarks of the API run on. Does not: orders in volume (bench_dashboard).
"""

from dataclasses import dataclass
from uuid import UUID

from benchmarks.servers import Stores
from shop_api.db.engines import make_engine
from shop_api.db.request_redis import RequestRedis
from shop_api.db.tenancy import PLATFORM_TENANT, tenant_session
from shop_api.domains.api_keys.service import OPERATOR, create_key
from shop_api.domains.tenants.service import create_tenant
from shop_api.kernel.clock import utc_now
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.spine.versions import ResourceVersions
from shop_api.spine.waker import Waker
from tests.factories.limits import UNLIMITED

PRODUCTS = """
INSERT INTO products (tenant_id, id, name, description, sku, price, currency, status, tags,
    is_in_stock, has_variants, created_at, updated_at)
SELECT '{tenant}', gen_random_uuid(), 'Product ' || g, repeat('A good thing. ', 8), 'SKU-' || g,
    (g % 500) + 0.99, 'USD', 'active', ARRAY['bench'],
    true, {variants} > 1, t, t
FROM generate_series(1, {count}) g,
    LATERAL (SELECT timestamptz '2026-01-01' + g * interval '1 second' AS t) clock;
INSERT INTO variants (tenant_id, id, product_id, title, position, created_at, updated_at)
SELECT p.tenant_id, gen_random_uuid(), p.id, 'Variant ' || v, v, p.created_at, p.created_at
FROM products p, generate_series(1, {variants}) v WHERE p.tenant_id = '{tenant}';
INSERT INTO stock_levels (tenant_id, variant_id, location_id, quantity, updated_at)
SELECT v.tenant_id, v.id, l.id, 10000000, v.created_at
FROM variants v JOIN locations l ON l.tenant_id = v.tenant_id WHERE v.tenant_id = '{tenant}';
ANALYZE products, variants, stock_levels;
"""


@dataclass(frozen=True)
class BenchShop:
    """A tenant to measure with, and its key."""

    tenant_id: UUID
    key: str


def make_shop(stores: Stores, *, products: int, variants: int = 2) -> BenchShop:
    """A tenant on plan enterprise, in USD and UTC, with products and plenty of stock."""
    settings = stores.settings()
    engine = make_engine(stores.postgres.application_url, settings, statement_timeout_seconds=60)
    waker = Waker(stores.postgres.application_url, ResourceVersions(RequestRedis(stores.redis_url)))
    now = utc_now()
    values = {
        "name": "Bench",
        "slug": f"bench-{now.timestamp():.0f}-{products}",
        "plan": "enterprise",
        "rate_limits": UNLIMITED,
        "currency": "USD",
        "timezone": "UTC",
    }
    owner = {
        "email": f"bench-{now.timestamp()}@example.com",
        "name": "Bench",
        "password": "correct-horse-battery",
    }
    origin = Origin(PLATFORM_TENANT, "system:bench", "bench", now)
    with unit_of_work(engine, waker, origin) as work:
        tenant_id = create_tenant(work, values, owner).id
    with unit_of_work(engine, waker, Origin(tenant_id, "system:bench", "bench", now)) as work:
        key, _ = create_key(work, "bench", "secret", None, None, OPERATOR)
    stores.psql(
        "SET session_replication_role = replica;"
        + PRODUCTS.format(tenant=tenant_id, count=products, variants=variants)
    )
    waker.stop()
    engine.dispose()
    return BenchShop(tenant_id, key)


def variant_ids(stores: Stores, shop: BenchShop, limit: int) -> list[UUID]:
    """Some variants of the shop."""
    settings = stores.settings()
    engine = make_engine(stores.postgres.application_url, settings, statement_timeout_seconds=60)
    with tenant_session(engine, shop.tenant_id) as session:
        rows = session.connection.exec_driver_sql(
            "SELECT id FROM variants ORDER BY id LIMIT %s", (limit,)
        ).scalars()
        found = list(rows)
    engine.dispose()
    return found
