"""Exchange rates of the shops.

Belongs here: reading them, by what changed or all of a tenant's. Does not: the rates orders were
placed at (orders.py).
"""

import polars as pl

from pipelines.frames import INSTANT, RATE, TEXT
from pipelines.sources.reader import Reader

COLUMNS = {
    "tenant_id": TEXT,
    "exchange_rate_id": TEXT,
    "currency": TEXT,
    "rate": RATE,
    "effective_at": INSTANT,
    "created_at": INSTANT,
}
RATES = "SELECT x.tenant_id, x.id, currency, rate, effective_at, created_at FROM {source}"
BY_ID = RATES.format(
    source="""unnest(%(tenant_ids)s::uuid[], %(rate_ids)s::uuid[]) AS k (tenant_id, rate_id)
JOIN exchange_rates x ON x.tenant_id = k.tenant_id AND x.id = k.rate_id"""
)
OF_TENANT = RATES.format(source="exchange_rates x WHERE x.tenant_id = %(tenant_id)s::uuid")


def read_exchange_rates(reader: Reader, keys: pl.DataFrame) -> pl.DataFrame:
    """The rates of `keys` (tenant_id, exchange_rate_id)."""
    parameters = {
        "tenant_ids": keys["tenant_id"].to_list(),
        "rate_ids": keys["exchange_rate_id"].to_list(),
    }
    return reader.frame(BY_ID, COLUMNS, parameters)


def read_all_exchange_rates(reader: Reader, tenant_id: str) -> pl.DataFrame:
    """All rates of a tenant."""
    return reader.frame(OF_TENANT, COLUMNS, {"tenant_id": tenant_id})
