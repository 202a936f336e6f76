"""Every list is read along an index: no sort, no walk over the whole table."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from shop_api.app import App
from shop_api.domains.tenants.repository import is_origin_listed
from tests.factories.pricing import ADDRESS, place
from tests.factories.rows import make_tenant
from tests.fixtures.api import ApiClient, Shop, open_shop
from tests.fixtures.statements import statements
from tests.fixtures.stores import Database

ROWS = 20_000
# of what a shop has most of; `make plans` asks for a million, which takes minutes
HOT_ROWS = int(os.environ.get("SHOP_TEST_HOT_ROWS", ROWS))
START = datetime(2026, 1, 1, tzinfo=UTC)
# has a hundred of everything
BUSY_ORDER = UUID("00000000-0000-7000-8000-000000000001")
BUSY_CATEGORY = UUID("00000000-0000-7000-8000-000000000002")

FILL = """
INSERT INTO customers (tenant_id, id, email, tags, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), 'c' || n || '@example.com', '{}', %(s)s + n * interval '1 s',
    %(s)s + n * interval '1 s' FROM generate_series(1, %(h)s) n;
INSERT INTO customers (tenant_id, id, tags, created_at, updated_at)
VALUES (%(t)s, %(o)s, '{}', %(s)s, %(s)s);
INSERT INTO customer_addresses (tenant_id, id, customer_id, created_at, updated_at)
SELECT tenant_id, gen_random_uuid(), id, created_at, created_at FROM customers
WHERE tenant_id = %(t)s AND id <> %(o)s;
INSERT INTO customer_addresses (tenant_id, id, customer_id, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), %(o)s, %(s)s + n * interval '1 s', %(s)s
FROM generate_series(1, 50) n;
INSERT INTO categories (tenant_id, id, name, slug, created_at, updated_at)
VALUES (%(t)s, %(c)s, 'c', 'c', %(s)s, %(s)s);
INSERT INTO categories (tenant_id, id, parent_id, name, slug, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), CASE WHEN n <= 100 THEN %(c)s::uuid END, 'c', 'c-' || n,
    %(s)s + n * interval '1 s', %(s)s FROM generate_series(1, %(n)s) n;
INSERT INTO products (tenant_id, id, name, price, currency, status, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), 'Thing ' || n, n %% 1000, 'USD',
    (ARRAY['active', 'draft'])[1 + n %% 2], %(s)s + n * interval '1 s',
    %(s)s + n * interval '1 s' FROM generate_series(1, %(h)s) n;
INSERT INTO variants (tenant_id, id, product_id, title, created_at, updated_at)
SELECT tenant_id, gen_random_uuid(), id, 'Default', created_at, updated_at FROM products
WHERE tenant_id = %(t)s;
INSERT INTO product_images (tenant_id, id, product_id, url, created_at, updated_at)
SELECT tenant_id, gen_random_uuid(), id, 'https://x.example', created_at, updated_at FROM products
WHERE tenant_id = %(t)s;
INSERT INTO stock_levels (tenant_id, variant_id, location_id, quantity, updated_at)
SELECT v.tenant_id, v.id, l.id, 5, %(s)s FROM variants v JOIN locations l
    ON l.tenant_id = v.tenant_id WHERE v.tenant_id = %(t)s;
INSERT INTO orders (tenant_id, id, number, customer_id, status, payment_status,
    fulfillment_status, channel, currency, subtotal, total, placed_at, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), n, NULL, (ARRAY['pending', 'completed'])[1 + n %% 2],
    'unpaid', 'unfulfilled', 'web', 'USD', n %% 500, n %% 500, %(s)s + n * interval '1 s',
    %(s)s, %(s)s + n * interval '1 s' FROM generate_series(1, %(h)s) n;
INSERT INTO product_categories (tenant_id, product_id, category_id)
SELECT p.tenant_id, p.id, c.id FROM (SELECT *, row_number() OVER () AS n FROM products
    WHERE tenant_id = %(t)s) p JOIN (SELECT *, row_number() OVER () AS n FROM categories
    WHERE tenant_id = %(t)s) c ON c.n = p.n;
INSERT INTO order_lines (tenant_id, id, order_id, position, title, quantity, unit_price, subtotal,
    total)
SELECT tenant_id, gen_random_uuid(), id, 0, 'x', 1, total, total, total FROM orders
WHERE tenant_id = %(t)s;
INSERT INTO payments (tenant_id, id, order_id, provider, method, status, amount, currency,
    created_at)
SELECT tenant_id, gen_random_uuid(), id, 'manual', 'cash', 'captured', 1, 'USD', placed_at
FROM orders WHERE tenant_id = %(t)s;
INSERT INTO orders (tenant_id, id, number, status, payment_status, fulfillment_status, channel,
    currency, subtotal, total, placed_at, created_at, updated_at)
VALUES (%(t)s, %(o)s, 0, 'pending', 'unpaid', 'unfulfilled', 'web', 'USD', 1, 1, %(s)s, %(s)s,
    %(s)s);
INSERT INTO payments (tenant_id, id, order_id, provider, method, status, amount, currency,
    created_at)
SELECT %(t)s, gen_random_uuid(), %(o)s, 'manual', 'cash', 'failed', 1, 'USD',
    %(s)s + n * interval '1 s' FROM generate_series(1, 100) n;
INSERT INTO refunds (tenant_id, id, order_id, amount, currency, created_at)
SELECT o.tenant_id, gen_random_uuid(), o.id, 1, 'USD', %(s)s + n * interval '1 s'
FROM orders o, generate_series(1, CASE o.number WHEN 0 THEN 100 ELSE 1 END) n
WHERE o.tenant_id = %(t)s AND o.number <= %(n)s;
INSERT INTO fulfillments (tenant_id, id, order_id, created_at)
SELECT tenant_id, gen_random_uuid(), order_id, created_at FROM refunds WHERE tenant_id = %(t)s;
INSERT INTO returns (tenant_id, id, order_id, created_at)
SELECT tenant_id, gen_random_uuid(), order_id, created_at FROM refunds WHERE tenant_id = %(t)s;
INSERT INTO fulfillment_lines (tenant_id, fulfillment_id, order_line_id, quantity)
SELECT x.tenant_id, x.id, l.id, 1 FROM fulfillments x JOIN order_lines l USING (tenant_id, order_id)
WHERE x.tenant_id = %(t)s;
INSERT INTO return_lines (tenant_id, return_id, order_line_id, quantity, is_restocked)
SELECT x.tenant_id, x.id, l.id, 1, true FROM returns x JOIN order_lines l
    USING (tenant_id, order_id) WHERE x.tenant_id = %(t)s;
INSERT INTO refund_lines (tenant_id, id, refund_id, order_line_id, quantity, amount)
SELECT x.tenant_id, gen_random_uuid(), x.id, l.id, 1, 1 FROM refunds x JOIN order_lines l
    USING (tenant_id, order_id) WHERE x.tenant_id = %(t)s;
INSERT INTO refund_payments (tenant_id, refund_id, payment_id, amount)
SELECT x.tenant_id, x.id, y.id, 1 FROM refunds x JOIN payments y USING (tenant_id, order_id)
WHERE x.tenant_id = %(t)s AND y.status = 'captured';
INSERT INTO events (tenant_id, sequence, type, subject_type, subject_id, data, actor, request_id)
SELECT tenant_id, 1000 + row_number() OVER (), 'order_refunded', 'order', order_id, '{}',
    'system:test', 'test' FROM refunds WHERE tenant_id = %(t)s;
INSERT INTO events (tenant_id, sequence, type, subject_type, subject_id, data, actor, request_id)
SELECT %(t)s, 10000000 + n, 'order_created', 'order', gen_random_uuid(), '{}', 'system:test', 'test'
FROM generate_series(%(n)s, %(h)s) n;
INSERT INTO users (tenant_id, id, email, name, role, password_hash, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), 'u' || n || '@example.com', 'u', 'viewer', '',
    %(s)s + n * interval '1 s', %(s)s FROM generate_series(1, %(n)s) n;
INSERT INTO api_keys (tenant_id, id, name, kind, prefix, key_hash, scopes, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), 'k', 'secret', 'sk_', uuid_send(gen_random_uuid()), '{}',
    %(s)s + n * interval '1 s', %(s)s FROM generate_series(1, %(n)s) n;
INSERT INTO locations (tenant_id, id, name, code, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), 'l', 'l-' || n, %(s)s + n * interval '1 s', %(s)s
FROM generate_series(1, %(n)s) n;
INSERT INTO sessions (tenant_id, id, kind, name, channel, currency, opened_by, opened_at, closed_at,
    created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), 'till', 't', 'pos', 'USD', 'user:x', %(s)s + n * interval '1 s',
    CASE WHEN n > 5 THEN %(s)s END, %(s)s, %(s)s FROM generate_series(6, %(n)s) n;
INSERT INTO stock_movements (tenant_id, id, variant_id, location_id, quantity_delta,
    reserved_delta, reason, order_id, actor, created_at)
SELECT %(t)s, gen_random_uuid(), CASE WHEN n <= 100 THEN %(o)s ELSE gen_random_uuid() END,
    gen_random_uuid(), 1, 0, 'adjusted', CASE WHEN n <= 100 THEN %(o)s::uuid END, 'user:x',
    %(s)s + n * interval '1 s' FROM generate_series(1, %(h)s) n;
INSERT INTO discounts (tenant_id, id, code, title, kind, currency, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), 'C' || n, 'x', 'free_shipping', 'USD',
    %(s)s + n * interval '1 s', %(s)s FROM generate_series(1, %(n)s) n;
INSERT INTO order_discounts (tenant_id, id, order_id, position, title, kind, amount, created_at)
SELECT tenant_id, gen_random_uuid(), id, 0, 'x', 'fixed', 1, placed_at FROM orders
WHERE tenant_id = %(t)s AND number <= %(n)s;
INSERT INTO tax_rates (tenant_id, id, name, country, rate_ratio, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), n::text, 'IT', 0, %(s)s + n * interval '1 s', %(s)s
FROM generate_series(1, %(n)s) n;
INSERT INTO shipping_rates (tenant_id, id, name, kind, price, currency, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), n::text, 'flat', 1, 'USD', %(s)s + n * interval '1 s', %(s)s
FROM generate_series(1, %(n)s) n;
INSERT INTO invitations (tenant_id, id, email, role, token_hash, invited_by, expires_at, created_at,
    updated_at)
SELECT %(t)s, gen_random_uuid(), 'i' || n || '@example.com', 'viewer',
    uuid_send(gen_random_uuid()), 'user:x', %(s)s, %(s)s + n * interval '1 s', %(s)s
FROM generate_series(1, %(n)s) n;
INSERT INTO audit_entries (tenant_id, id, action, subject_type, subject_id, actor, request_id,
    changes, created_at)
SELECT %(t)s, gen_random_uuid(), (ARRAY['user_updated', 'order_placed'])[1 + n %% 2],
    (ARRAY['user', 'order'])[1 + n %% 2],
    CASE WHEN n <= 100 THEN %(o)s ELSE gen_random_uuid() END, 'user:' || n %% 100,
    'request-' || n, '{}', %(s)s + n * interval '1 s' FROM generate_series(1, %(h)s) n;
INSERT INTO jobs (tenant_id, id, kind, state, params, actor, request_id, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), 'import', 'succeeded', '{}', 'system:test', 'test',
    %(s)s + n * interval '1 s', %(s)s FROM generate_series(1, %(n)s) n;
INSERT INTO reports (tenant_id, id, kind, period_from, period_to, title, snapshot, as_of,
    created_at)
SELECT %(t)s, gen_random_uuid(), 'daily_sales', date '2000-01-01' + n, date '2000-01-02' + n,
    'x', '1', %(s)s, %(s)s + n * interval '1 s' FROM generate_series(1, %(n)s) n;
INSERT INTO report_files (tenant_id, report_id, format, content)
SELECT tenant_id, id, 'csv', 'x' FROM reports WHERE tenant_id = %(t)s;
"""

# read whole while there are few tenants
ONE_ROW_A_TENANT = {"product_stats"}

# the list, its query, and the index that must carry it
LISTS: list[tuple[str, dict[str, Any], str]] = [
    ("products", {"sort": "created_at"}, "ix_products_created_at"),
    ("products", {"sort": "updated_at"}, "ix_products_updated_at"),
    ("products", {"sort": "price"}, "ix_products_price"),
    ("products", {"sort": "name"}, "ix_products_name"),
    ("products", {"sort": "total_sales"}, "ix_products_total_sales"),
    ("products", {"sort": "inventory"}, "ix_products_available_quantity"),
    ("products", {"search": "p7"}, "pk_products"),
    ("products", {"in_stock": "true"}, "ix_products_created_at"),
    ("products", {"sort": "price", "status": "active"}, "ix_products_price"),
    ("products", {"min_price": "100", "max_price": "200", "sort": "price"}, "ix_products_price"),
    ("orders", {"sort": "placed_at"}, "ix_orders_placed_at"),
    ("orders", {"sort": "updated_at"}, "ix_orders_updated_at"),
    ("orders", {"sort": "total"}, "ix_orders_total"),
    ("orders", {"customer_id": "00000000-0000-7000-8000-000000000000"}, "ix_orders_customer_id"),
    (f"customers/{BUSY_ORDER}/orders", {}, "ix_orders_customer_id"),
    (f"orders/{BUSY_ORDER}/payments", {}, "ix_payments_order_id"),
    (f"orders/{BUSY_ORDER}/fulfillments", {}, "ix_fulfillments_order_id"),
    (f"orders/{BUSY_ORDER}/returns", {}, "ix_returns_order_id"),
    (f"orders/{BUSY_ORDER}/refunds", {}, "ix_refunds_order_id"),
    (f"orders/{BUSY_ORDER}/events", {}, "ix_events_subject"),
    ("customers", {"sort": "created_at"}, "ix_customers_created_at"),
    ("customers", {"sort": "updated_at"}, "ix_customers_updated_at"),
    ("customers", {"email": "c7@example.com"}, "uq_customers_tenant_id_email"),
    ("customers", {"external_id": "c7"}, "uq_customers_tenant_id_external_id"),
    ("customers", {"created_after": "2026-01-01T00:00:00Z"}, "ix_customers_created_at"),
    ("customers", {"search": "c7"}, "pk_customers"),
    (f"customers/{BUSY_ORDER}/addresses", {}, "ix_customer_addresses_customer_id"),
    ("categories", {}, "ix_categories_created_at"),
    ("categories", {"sort": "name"}, "ix_categories_name"),
    ("categories", {"sort": "position"}, "ix_categories_position"),
    ("categories", {"is_active": "true"}, "ix_categories_created_at"),
    ("categories", {"is_root": "true"}, "ix_categories_roots"),
    ("categories", {"parent_id": str(BUSY_CATEGORY)}, "ix_categories_parent_id"),
    ("categories", {"slug": "c-7"}, "uq_categories_tenant_id_slug"),
    ("users", {}, "ix_users_created_at"),
    ("users", {"role": "viewer"}, "ix_users_created_at"),
    ("users", {"email": "u7@example.com"}, "uq_users_tenant_id_email"),
    ("api_keys", {}, "ix_api_keys_created_at"),
    ("invitations", {}, "ix_invitations_created_at"),
    ("audit_log", {}, "ix_audit_entries_created_at"),
    ("audit_log", {"action": "user_updated"}, "ix_audit_entries_action"),
    ("audit_log", {"actor": "user:7"}, "ix_audit_entries_actor"),
    ("audit_log", {"subject_type": "user"}, "ix_audit_entries_subject_type"),
    ("audit_log", {"subject_id": str(BUSY_ORDER)}, "ix_audit_entries_subject_id"),
    ("audit_log", {"created_after": "2026-01-01T00:00:00Z"}, "ix_audit_entries_created_at"),
    ("locations", {}, "ix_locations_created_at"),
    ("inventory", {}, "pk_stock_levels"),
    ("inventory", {"product_id": str(BUSY_ORDER)}, "ix_variants_product_id"),
    ("inventory", {"low_stock": "true"}, "ix_variants_low_stock_alert"),
    ("inventory", {"low_stock": "false"}, "pk_stock_levels"),
    ("inventory/movements", {}, "ix_stock_movements_created_at"),
    ("inventory/movements", {"variant_id": str(BUSY_ORDER)}, "ix_stock_movements_variant_id"),
    ("inventory/movements", {"order_id": str(BUSY_ORDER)}, "ix_stock_movements_order_id"),
    ("sessions", {}, "ix_sessions_opened_at"),
    ("orders", {"session_id": str(BUSY_ORDER)}, "ix_orders_session_id"),
    ("discounts", {}, "ix_discounts_created_at"),
    ("discounts", {"code": "c7"}, "uq_discounts_tenant_id_code"),
    ("tax_rates", {}, "ix_tax_rates_created_at"),
    ("shipping_rates", {}, "ix_shipping_rates_created_at"),
    ("jobs", {}, "ix_jobs_created_at"),
    ("reports", {}, "ix_reports_period_from"),
]


@pytest.fixture(scope="module")
def big_shop(api: ApiClient, database: Database) -> Shop:
    """A shop with many rows, beside a neighbour with as many."""
    shop = open_shop(api)
    with psycopg.connect(database.migrator_url) as connection:
        fill(connection, shop.tenant_id, HOT_ROWS)
        fill(connection, make_tenant(database), ROWS)
    with psycopg.connect(database.migrator_url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    return shop


def fill(connection: psycopg.Connection[Any], tenant_id: UUID, hot_rows: int) -> None:
    numbers = {"n": ROWS, "h": hot_rows}
    cursor = psycopg.ClientCursor(connection)
    cursor.execute(
        FILL,
        {
            "t": tenant_id,
            "o": BUSY_ORDER,
            "c": BUSY_CATEGORY,
            "s": START - timedelta(days=30),
            **numbers,
        },
    )


def plan_of(app: App, tenant_id: UUID, statement: str, parameters: Any) -> list[dict[str, Any]]:
    """The nodes of a statement's generic plan, as the application's role runs it."""
    with app.services.engine.begin() as connection:
        connection.exec_driver_sql(
            "SELECT set_config('app.tenant_id', %s, true)", (str(tenant_id),)
        )
        explained = connection.exec_driver_sql(
            f"EXPLAIN (FORMAT JSON) {statement}", parameters
        ).scalar_one()
    if isinstance(explained, str):
        explained = json.loads(explained)
    return list(nodes(explained[0]["Plan"]))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@pytest.mark.parametrize("page", ["first", "after", "last"])
@pytest.mark.parametrize(("name", "query", "index"), LISTS)
def test_a_page_is_read_along_its_index(
    app: App, big_shop: Shop, name: str, query: dict[str, Any], index: str, page: str
) -> None:
    path = f"/api/v1/{name}"
    asked = dict(query)
    if page == "after":
        info = big_shop.api.get(path, query=query).json["page_info"]
        if info["end_cursor"] is None:
            return  # a filter that leaves nothing has one page
        asked["after"] = info["end_cursor"]
    if page == "last":
        asked["last"] = 20
    with statements(app.services.engine) as sent:
        assert big_shop.api.get(path, query=asked).status == 200
    statement, parameters = sent[-1]
    found = plan_of(app, big_shop.tenant_id, statement, parameters)
    used = {node["Index Name"] for node in found if "Index Name" in node}
    assert index in used
    # those found by their words are few, and are all looked up
    if page == "after" and not index.startswith("uq_") and "search" not in query:
        # the page starts at its place in the index, it does not walk there from the beginning
        carrier = next(node for node in found if node.get("Index Name") == index)
        # an order's events are told apart by their sequence alone
        assert "ROW(" in carrier["Index Cond"] or "sequence >" in carrier["Index Cond"]
    scanned = {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"}
    assert scanned <= ONE_ROW_A_TENANT, f"reads all of {scanned}"
    top = [node for node in found if node["Node Type"] in ("Sort", "Incremental Sort")]
    # inside a row its lines are sorted; the list itself never is
    assert all(node["Plan Rows"] < 1000 for node in top)


def test_an_order_looks_up_its_terms(app: App, big_shop: Shop) -> None:
    rate = big_shop.api.get("/api/v1/shipping_rates").json["data"][0]
    product = big_shop.product()
    sent = {
        "shipping_rate_id": rate["id"],
        "shipping_address": {**ADDRESS, "country": "FR"},
        "discount_codes": ["C1", "C-2"],
    }
    with statements(app.services.engine) as placing:
        assert place(big_shop, (product, 1), **sent).code == "discount_not_found"
    statement, parameters = next(s for s in placing if "tax_rates" in s[0])
    found = plan_of(app, big_shop.tenant_id, statement, parameters)
    used = {node["Index Name"] for node in found if "Index Name" in node}
    assert used >= {
        "ix_discounts_automatic",
        "uq_discounts_tenant_id_code",
        "uq_tax_rates_tenant_id_country_region_tax_class_name",
        "pk_shipping_rates",
    }
    for node in found:
        assert "Index Name" not in node or "tenant_id" in node.get("Index Cond", "")
    scanned = {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"}
    assert scanned <= {"tenants"}, "of which there are few here"


def test_signing_in_looks_up_the_address(app: App, big_shop: Shop, api: ApiClient) -> None:
    with statements(app.services.engine) as sent:
        api.post("/api/v1/auth/login", {"email": "u7@example.com", "password": "x"})
    statement, parameters = next(s for s in sent if "FROM users" in s[0])
    with app.services.engine.begin() as connection:
        connection.exec_driver_sql("SELECT set_config('app.login_email', 'u7@example.com', true)")
        explained = connection.exec_driver_sql(
            f"EXPLAIN (FORMAT JSON) {statement}", parameters
        ).scalar_one()
    used = {node.get("Index Name") for node in nodes(explained[0]["Plan"])}
    assert "ix_users_email" in used


def test_a_preflight_looks_up_its_origin(app: App, big_shop: Shop, database: Database) -> None:
    with psycopg.connect(database.migrator_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO tenants (id, name, slug, plan, currency, timezone, cors_origins,"
            " created_at, updated_at) SELECT gen_random_uuid(), 'x', 'filler-' || n, 'free',"
            " 'USD', 'UTC', ARRAY['https://' || n || '.example'], now(), now()"
            " FROM generate_series(1, 20000) n"
        )
        connection.execute("VACUUM ANALYZE tenants")
    with statements(app.services.engine) as sent, app.services.engine.begin() as asking:
        assert is_origin_listed(asking, "https://7.example")
    statement, parameters = sent[-1]
    with app.services.engine.begin() as connected:
        connected.exec_driver_sql("SELECT set_config('app.origin', 'https://7.example', true)")
        explained = connected.exec_driver_sql(
            f"EXPLAIN (FORMAT JSON) {statement}", parameters
        ).scalar_one()
    used = {node.get("Index Name") for node in nodes(explained[0]["Plan"])}
    assert "ix_tenants_cors_origins" in used
