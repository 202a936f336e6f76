"""A shop with many rows of everything, made by Postgres itself.

Belongs here: the rows. Does not: the lists that are read (list_plans.py).
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

ROWS = 20_000
# of what a shop has most of; `make plans` asks for a million, which takes minutes
HOT_ROWS = int(os.environ.get("SHOP_TEST_HOT_ROWS", ROWS))
START = datetime(2026, 1, 1, tzinfo=UTC)
# between them is most of what there is
EARLY, LATER = "2025-12-02T00:30:00Z", "2100-01-01T00:00:00Z"
# has a hundred of everything
BUSY_ORDER = UUID("00000000-0000-7000-8000-000000000001")
BUSY_CATEGORY = UUID("00000000-0000-7000-8000-000000000002")
BUSY_JOB = UUID("00000000-0000-7000-8000-000000000003")
BUSY_PRODUCT = UUID("00000000-0000-7000-8000-000000000004")
# has half of the products
BIG_CATEGORY = UUID("00000000-0000-7000-8000-000000000005")

FILL = """
INSERT INTO customers (tenant_id, id, email, tags, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), 'c' || n || '@example.com', ARRAY['n' || n %% 100],
    %(s)s + n * interval '1 s', %(s)s + n * interval '1 s' FROM generate_series(1, %(h)s) n;
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
INSERT INTO products (tenant_id, id, name, sku, price, currency, status, tags, is_in_stock,
    created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), 'Thing ' || n, 'P-' || n, n %% 1000, 'USD',
    (ARRAY['active', 'draft'])[1 + n %% 2],
    ARRAY['n' || n %% 5] || CASE WHEN n <= 100 THEN ARRAY['Rare one'] ELSE '{}' END, true,
    %(s)s + n * interval '1 s', %(s)s + n * interval '1 s' FROM generate_series(1, %(h)s) n;
INSERT INTO variants (tenant_id, id, product_id, title, sku, created_at, updated_at)
SELECT tenant_id, gen_random_uuid(), id, 'Default', replace(sku, 'P', 'V'), created_at,
    updated_at FROM products WHERE tenant_id = %(t)s;
INSERT INTO product_images (tenant_id, id, product_id, url, created_at, updated_at)
SELECT tenant_id, gen_random_uuid(), id, 'https://x.example', created_at, updated_at FROM products
WHERE tenant_id = %(t)s;
INSERT INTO stock_levels (tenant_id, variant_id, location_id, quantity, updated_at)
SELECT v.tenant_id, v.id, l.id, 5, %(s)s FROM variants v JOIN locations l
    ON l.tenant_id = v.tenant_id WHERE v.tenant_id = %(t)s;
INSERT INTO orders (tenant_id, id, number, customer_id, status, payment_status,
    fulfillment_status, channel, currency, base_currency, exchange_rate, subtotal, total, placed_at,
    created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), n, CASE WHEN n <= 100 THEN %(o)s ELSE c.id END,
    (ARRAY['pending', 'completed'])[1 + n %% 2],
    'unpaid', 'unfulfilled', 'web', 'USD', 'USD', 1, n %% 500, n %% 500, %(s)s + n * interval '1 s',
    %(s)s, %(s)s + n * interval '1 s' FROM (SELECT id, row_number() OVER () AS n FROM customers
    WHERE tenant_id = %(t)s) c WHERE n <= %(h)s;
INSERT INTO product_categories (tenant_id, product_id, category_id)
SELECT p.tenant_id, p.id, c.id FROM (SELECT *, row_number() OVER () AS n FROM products
    WHERE tenant_id = %(t)s) p JOIN (SELECT *, row_number() OVER () AS n FROM categories
    WHERE tenant_id = %(t)s) c ON c.n = p.n;
INSERT INTO categories (tenant_id, id, name, slug, created_at, updated_at)
VALUES (%(t)s, %(b)s, 'big', 'big', %(s)s, %(s)s);
INSERT INTO product_categories (tenant_id, product_id, category_id)
SELECT tenant_id, id, %(b)s FROM products WHERE tenant_id = %(t)s AND status = 'active';
INSERT INTO order_lines (tenant_id, id, order_id, position, title, quantity, unit_price, subtotal,
    total)
SELECT tenant_id, gen_random_uuid(), id, 0, 'x', 1, total, total, total FROM orders
WHERE tenant_id = %(t)s;
INSERT INTO payments (tenant_id, id, order_id, provider, method, status, amount, currency,
    created_at)
SELECT tenant_id, gen_random_uuid(), id, 'manual', 'cash', 'captured', 1, 'USD', placed_at
FROM orders WHERE tenant_id = %(t)s;
INSERT INTO orders (tenant_id, id, number, status, payment_status, fulfillment_status, channel,
    currency, base_currency, exchange_rate, subtotal, total, placed_at, created_at, updated_at)
VALUES (%(t)s, %(o)s, 0, 'pending', 'unpaid', 'unfulfilled', 'web', 'USD', 'USD', 1, 1, 1, %(s)s,
    %(s)s, %(s)s);
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
    CASE n %% 2 WHEN 0 THEN %(o)s::uuid ELSE %(c)s END, 1, 0, 'adjusted',
    CASE WHEN n <= 100 THEN %(o)s::uuid END, 'user:x',
    %(s)s + n * interval '1 s' FROM generate_series(1, %(h)s) n;
INSERT INTO discounts (tenant_id, id, code, title, kind, currency, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), 'C' || n, 'x', 'free_shipping', 'USD',
    %(s)s + n * interval '1 s', %(s)s FROM generate_series(1, %(n)s) n;
INSERT INTO order_discounts (tenant_id, id, order_id, position, title, kind, amount, created_at)
SELECT tenant_id, gen_random_uuid(), id, 0, 'x', 'fixed', 1, placed_at FROM orders
WHERE tenant_id = %(t)s AND number <= %(n)s;
INSERT INTO tax_rates (tenant_id, id, name, country, rate_ratio, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), n::text, chr(65 + n %% 26) || chr(65 + n / 26 %% 26), 0,
    %(s)s + n * interval '1 s', %(s)s FROM generate_series(1, %(n)s) n;
INSERT INTO exchange_rates (tenant_id, id, currency, rate, effective_at, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), (ARRAY['EUR', 'JPY', 'GBP', 'BRL'])[1 + n %% 4], 1,
    %(s)s + n * interval '1 s', %(s)s, %(s)s FROM generate_series(1, %(n)s) n;
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
INSERT INTO jobs (tenant_id, id, kind, state, params, actor, request_id, created_at, updated_at)
VALUES (%(t)s, %(j)s, 'import', 'failed', '{}', 'user:x', 'x', %(s)s, %(s)s);
INSERT INTO job_rejects (tenant_id, job_id, position, file, row, reason)
SELECT tenant_id, id, n, 'goods.csv', n, 'name is required' FROM jobs,
    generate_series(1, CASE id WHEN %(j)s THEN 1000 ELSE 2 END) n WHERE tenant_id = %(t)s;
INSERT INTO products (tenant_id, id, name, price, currency, status, is_in_stock, has_variants,
    created_at, updated_at)
VALUES (%(t)s, %(p)s, 'Shirt', 1, 'USD', 'active', true, true, %(s)s, %(s)s);
INSERT INTO variants (tenant_id, id, product_id, title, position, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), %(p)s, 'V' || n, n, %(s)s, %(s)s FROM generate_series(1, 100) n;
INSERT INTO product_images (tenant_id, id, product_id, url, position, created_at, updated_at)
SELECT %(t)s, gen_random_uuid(), %(p)s, 'https://x.example', n, %(s)s, %(s)s
FROM generate_series(1, 100) n;
INSERT INTO stock_levels (tenant_id, variant_id, location_id, quantity, updated_at)
SELECT v.tenant_id, v.id, l.id, 5, %(s)s FROM variants v JOIN locations l
    ON l.tenant_id = v.tenant_id AND l.is_default WHERE v.tenant_id = %(t)s
    AND v.product_id = %(p)s;
INSERT INTO reports (tenant_id, id, kind, period_from, period_to, title, snapshot, as_of,
    created_at)
SELECT %(t)s, gen_random_uuid(), 'daily_sales', date '2000-01-01' + n, date '2000-01-02' + n,
    'x', '1', %(s)s, %(s)s + n * interval '1 s' FROM generate_series(1, %(n)s) n;
INSERT INTO notifications (tenant_id, id, kind, level, title, message, data, created_at, read_at)
SELECT %(t)s, gen_random_uuid(), 'late_pipeline', (ARRAY['info', 'error'])[1 + n %% 2], 'x', 'x',
    '{}', %(s)s + n * interval '1 s', CASE WHEN n %% 10 > 0 THEN %(s)s END
FROM generate_series(1, %(n)s) n;
INSERT INTO webhook_endpoints (tenant_id, id, url, scopes, after_sequence, secret, created_at,
    updated_at)
SELECT %(t)s, gen_random_uuid(), 'https://example.com/', '{}', 0, 'x', %(s)s + n * interval '1 s',
    %(s)s FROM generate_series(1, %(n)s) n;
INSERT INTO webhook_deliveries (tenant_id, id, endpoint_id, sequence, event_type, subject, state,
    expires_at, created_at)
SELECT %(t)s, gen_random_uuid(), CASE WHEN n %% 10 = 0 THEN %(p)s ELSE %(o)s END, n,
    (ARRAY['order_created', 'product_updated'])[1 + n %% 2], 'order:' || n,
    (ARRAY['delivered', 'failed'])[1 + n %% 2], %(s)s, %(s)s + n * interval '1 s'
FROM generate_series(1, %(n)s) n;
WITH run AS (
    INSERT INTO pipeline_runs (id, name, state, started_at)
    SELECT gen_random_uuid(), 'lake_export', 'succeeded', %(s)s + n * interval '1 s'
    FROM generate_series(1, %(n)s) n RETURNING id, started_at
)
INSERT INTO pipeline_run_shares (tenant_id, run_id, started_at, state, rows_written, bytes_written,
    files_written)
SELECT %(t)s, id, started_at, 'succeeded', 1, 1, 1 FROM run;
INSERT INTO report_files (tenant_id, report_id, format, content)
SELECT tenant_id, id, 'csv', 'x' FROM reports WHERE tenant_id = %(t)s;
"""


def fill(connection: psycopg.Connection[Any], tenant_id: UUID, hot_rows: int) -> None:
    """Fill a tenant; the connection is an administrator's."""
    # looking up a million references takes longer than writing what holds them
    connection.execute("SET session_replication_role = replica")
    numbers = {"n": ROWS, "h": hot_rows}
    cursor = psycopg.ClientCursor(connection)
    cursor.execute(
        FILL,
        {
            "t": tenant_id,
            "o": BUSY_ORDER,
            "c": BUSY_CATEGORY,
            "b": BIG_CATEGORY,
            "j": BUSY_JOB,
            "p": BUSY_PRODUCT,
            "s": START - timedelta(days=30),
            **numbers,
        },
    )
