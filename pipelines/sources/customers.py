"""Customers, without personal data, and what their orders say of them.

Belongs here: reading customers. Does not: anything that names a person.
"""

from collections.abc import Generator

import polars as pl

from pipelines.frames import INSTANT, INTEGER, TEXT
from pipelines.sources.reader import Reader

COLUMNS = {
    "tenant_id": TEXT,
    "customer_id": TEXT,
    "first_order_at": INSTANT,
    "last_order_at": INSTANT,
    "orders": INTEGER,
    "created_at": INSTANT,
    "country": TEXT,
    "region": TEXT,
}

BY_ID = """
SELECT c.tenant_id, c.id, o.first_order_at, o.last_order_at, o.orders, c.created_at,
       a.country, a.region
FROM unnest(%(tenant_ids)s::uuid[], %(customer_ids)s::uuid[]) AS k (tenant_id, customer_id)
JOIN customers c ON c.tenant_id = k.tenant_id AND c.id = k.customer_id
LEFT JOIN customer_addresses a
    ON a.tenant_id = c.tenant_id AND a.customer_id = c.id AND a.is_default_shipping
CROSS JOIN LATERAL (
    SELECT min(placed_at) AS first_order_at, max(placed_at) AS last_order_at, count(*) AS orders
    FROM orders
    WHERE orders.tenant_id = c.tenant_id AND orders.customer_id = c.id AND status <> 'cancelled'
) AS o
"""

OF_TENANT = """
SELECT c.tenant_id, c.id, o.first_order_at, o.last_order_at, coalesce(o.orders, 0), c.created_at,
       a.country, a.region
FROM customers c
LEFT JOIN customer_addresses a
    ON a.tenant_id = c.tenant_id AND a.customer_id = c.id AND a.is_default_shipping
LEFT JOIN (
    SELECT customer_id, min(placed_at) AS first_order_at, max(placed_at) AS last_order_at,
           count(*) AS orders
    FROM orders WHERE tenant_id = %(tenant_id)s::uuid AND status <> 'cancelled' GROUP BY 1
) AS o ON o.customer_id = c.id
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
