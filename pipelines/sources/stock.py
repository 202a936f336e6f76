"""Stock: the ledger, what lies where, and the variants it is of.

Belongs here: reading them, by what changed or all of a tenant's. Does not: which rows changed
(spine.py, stock.py of pipelines).
"""

from datetime import datetime

import polars as pl

from pipelines.frames import INSTANT, INTEGER, MONEY, TEXT
from pipelines.sources.reader import Reader

MOVEMENTS = """
SELECT m.tenant_id,
       to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '/' || m.id,
       variant_id, location_id, quantity_delta, reserved_delta, reason, order_id, created_at
FROM {source}
"""
MOVEMENT_COLUMNS = {
    "tenant_id": TEXT,
    "movement_key": TEXT,
    "variant_id": TEXT,
    "location_id": TEXT,
    "quantity_delta": INTEGER,
    "reserved_delta": INTEGER,
    "reason": TEXT,
    "order_id": TEXT,
    "moved_at": INSTANT,
}
MOVEMENTS_BY_ID = MOVEMENTS.format(
    source="""unnest(%(tenant_ids)s::uuid[], %(movement_ids)s::uuid[]) AS k (tenant_id, movement_id)
JOIN stock_movements m ON m.tenant_id = k.tenant_id AND m.id = k.movement_id"""
)
MOVEMENTS_IN = MOVEMENTS.format(
    source="""stock_movements m WHERE tenant_id = %(tenant_id)s::uuid
AND created_at >= %(start)s AND created_at < %(end)s"""
)
MOVEMENT_MONTHS = """
SELECT tenant_id, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM'), count(*)
FROM stock_movements
WHERE %(tenant_ids)s::uuid[] IS NULL OR tenant_id = ANY(%(tenant_ids)s::uuid[])
GROUP BY 1, 2 ORDER BY 1, 2
"""

# A level where nothing lies and nothing is reserved comes and goes without a movement.
LEVELS = """
SELECT s.tenant_id, s.variant_id, location_id, quantity, reserved FROM {source}
AND (quantity <> 0 OR reserved <> 0)
"""
LEVEL_COLUMNS = {
    "tenant_id": TEXT,
    "variant_id": TEXT,
    "location_id": TEXT,
    "quantity": INTEGER,
    "reserved": INTEGER,
}
LEVELS_BY_VARIANT = LEVELS.format(
    source="""unnest(%(tenant_ids)s::uuid[], %(variant_ids)s::uuid[]) AS k (tenant_id, variant_id)
JOIN stock_levels s ON s.tenant_id = k.tenant_id AND s.variant_id = k.variant_id"""
)
LEVELS_OF_TENANT = LEVELS.format(source="stock_levels s WHERE tenant_id = %(tenant_id)s::uuid")

VARIANTS = """
SELECT v.tenant_id, v.id, v.product_id, v.title, coalesce(v.sku, p.sku),
       coalesce(v.cost_price, p.cost_price), p.currency, v.created_at
FROM {source} JOIN products p ON p.tenant_id = v.tenant_id AND p.id = v.product_id
{condition}
"""
VARIANT_COLUMNS = {
    "tenant_id": TEXT,
    "variant_id": TEXT,
    "product_id": TEXT,
    "title": TEXT,
    "sku": TEXT,
    "cost": MONEY,
    "currency": TEXT,
    "created_at": INSTANT,
}
VARIANTS_BY_PRODUCT = VARIANTS.format(
    source="""unnest(%(tenant_ids)s::uuid[], %(product_ids)s::uuid[]) AS k (tenant_id, product_id)
JOIN variants v ON v.tenant_id = k.tenant_id AND v.product_id = k.product_id""",
    condition="",
)
VARIANTS_OF_TENANT = VARIANTS.format(
    source="variants v", condition="WHERE v.tenant_id = %(tenant_id)s::uuid"
)


def read_movements(reader: Reader, keys: pl.DataFrame) -> pl.DataFrame:
    """The rows of the ledger of `keys` (tenant_id, stock_movement_id)."""
    parameters = {
        "tenant_ids": keys["tenant_id"].to_list(),
        "movement_ids": keys["stock_movement_id"].to_list(),
    }
    return reader.frame(MOVEMENTS_BY_ID, MOVEMENT_COLUMNS, parameters)


def movements_made_in(
    reader: Reader, tenant_id: str, start: datetime, end: datetime
) -> pl.DataFrame:
    """A tenant's rows of the ledger of [start, end)."""
    parameters = {"tenant_id": tenant_id, "start": start, "end": end}
    return reader.frame(MOVEMENTS_IN, MOVEMENT_COLUMNS, parameters)


def count_movements(reader: Reader, tenant_ids: list[str] | None) -> pl.DataFrame:
    """Rows of the ledger per tenant and month (UTC); of all tenants when None."""
    return reader.frame(
        MOVEMENT_MONTHS,
        {"tenant_id": TEXT, "month": TEXT, "movements": INTEGER},
        {"tenant_ids": tenant_ids},
    )


def read_levels(reader: Reader, keys: pl.DataFrame) -> pl.DataFrame:
    """What lies where of the variants of `keys` (tenant_id, variant_id)."""
    parameters = {
        "tenant_ids": keys["tenant_id"].to_list(),
        "variant_ids": keys["variant_id"].to_list(),
    }
    return reader.frame(LEVELS_BY_VARIANT, LEVEL_COLUMNS, parameters)


def read_all_levels(reader: Reader, tenant_id: str) -> pl.DataFrame:
    """What lies where of a tenant."""
    return reader.frame(LEVELS_OF_TENANT, LEVEL_COLUMNS, {"tenant_id": tenant_id})


def read_variants(reader: Reader, keys: pl.DataFrame) -> pl.DataFrame:
    """The variants of the products of `keys` (tenant_id, product_id)."""
    parameters = {
        "tenant_ids": keys["tenant_id"].to_list(),
        "product_ids": keys["product_id"].to_list(),
    }
    return reader.frame(VARIANTS_BY_PRODUCT, VARIANT_COLUMNS, parameters)


def read_all_variants(reader: Reader, tenant_id: str) -> pl.DataFrame:
    """All variants of a tenant."""
    return reader.frame(VARIANTS_OF_TENANT, VARIANT_COLUMNS, {"tenant_id": tenant_id})
