"""Customers, without personal data, and what their orders say of them.

Belongs here: reading customers. Does not: anything that names a person.
"""

from collections.abc import Generator

import polars as pl

from pipelines.frames import INSTANT, INTEGER, MONEY_SUM, TEXT
from pipelines.sources.reader import Reader

COLUMNS = {
    "tenant_id": TEXT,
    "customer_id": TEXT,
    "first_order_at": INSTANT,
    "last_order_at": INSTANT,
    "orders": INTEGER,
    "net_sales": MONEY_SUM,
    "last_moved_at": INSTANT,
    "created_at": INSTANT,
    "country": TEXT,
    "region": TEXT,
}

# Of the orders `o` with what was refunded of each, `r`. Net sales are what is left of an order's
# total without its taxes and its shipping.
ORDERED = """
min(placed_at) FILTER (WHERE status <> 'cancelled') AS first_order_at,
max(placed_at) FILTER (WHERE status <> 'cancelled') AS last_order_at,
count(*) FILTER (WHERE status <> 'cancelled') AS orders,
coalesce(sum(
    total - tax_total - shipping_total + CASE WHEN tax_included THEN shipping_tax_total ELSE 0 END
    - coalesce(r.returns, 0)
) FILTER (WHERE status <> 'cancelled'), 0) AS net_sales,
max(GREATEST(placed_at, cancelled_at, r.refunded_at)) AS last_moved_at
"""
REFUNDED = "sum(amount - tax_amount - shipping_amount) AS returns, max(created_at) AS refunded_at"

BY_ID = f"""
SELECT c.tenant_id, c.id, s.first_order_at, s.last_order_at, s.orders, s.net_sales,
       s.last_moved_at, c.created_at, a.country, a.region
FROM unnest(%(tenant_ids)s::uuid[], %(customer_ids)s::uuid[]) AS k (tenant_id, customer_id)
JOIN customers c ON c.tenant_id = k.tenant_id AND c.id = k.customer_id
LEFT JOIN customer_addresses a
    ON a.tenant_id = c.tenant_id AND a.customer_id = c.id AND a.is_default_shipping
CROSS JOIN LATERAL (
    SELECT {ORDERED}
    FROM orders o CROSS JOIN LATERAL (
        SELECT {REFUNDED} FROM refunds WHERE tenant_id = o.tenant_id AND order_id = o.id
    ) AS r
    WHERE o.tenant_id = c.tenant_id AND o.customer_id = c.id
) AS s
"""

OF_TENANT = f"""
SELECT c.tenant_id, c.id, s.first_order_at, s.last_order_at, coalesce(s.orders, 0),
       coalesce(s.net_sales, 0), s.last_moved_at, c.created_at, a.country, a.region
FROM customers c
LEFT JOIN customer_addresses a
    ON a.tenant_id = c.tenant_id AND a.customer_id = c.id AND a.is_default_shipping
LEFT JOIN (
    SELECT customer_id, {ORDERED}
    FROM orders o LEFT JOIN (
        SELECT order_id, {REFUNDED} FROM refunds WHERE tenant_id = %(tenant_id)s::uuid GROUP BY 1
    ) AS r ON r.order_id = o.id
    WHERE o.tenant_id = %(tenant_id)s::uuid GROUP BY 1
) AS s ON s.customer_id = c.id
WHERE c.tenant_id = %(tenant_id)s::uuid
ORDER BY c.id
"""
# Customers that are in memory at once: files of ten thousand fill them.
CHUNK_ROWS = 200_000


def read_customers(reader: Reader, keys: pl.DataFrame) -> pl.LazyFrame:
    """The customers of `keys` (tenant_id, customer_id)."""
    parameters = {
        "tenant_ids": keys["tenant_id"].to_list(),
        "customer_ids": keys["customer_id"].to_list(),
    }
    return reader.frame(BY_ID, COLUMNS, parameters).lazy()


def read_all_customers(reader: Reader, tenant_id: str) -> Generator[pl.LazyFrame]:
    """All customers of a tenant, part by part, in the order of their ids."""
    for chunk in reader.chunks(OF_TENANT, COLUMNS, {"tenant_id": tenant_id}, CHUNK_ROWS):
        yield chunk.lazy()
