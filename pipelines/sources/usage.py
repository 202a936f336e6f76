"""API usage as the processes wrote it, put together.

Belongs here: which hours were written of late, and their rows. Does not: counting (shop_api) and
files (usage.py of pipelines).
"""

import polars as pl

from pipelines.frames import INSTANT, INTEGER, TEXT
from pipelines.sources.reader import Reader
from pipelines.sources.spine import CHANGE_COLUMNS

SUBJECT = "api_usage"
COLUMNS = {
    "tenant_id": TEXT,
    "hour_key": TEXT,
    "hour": INSTANT,
    "method": TEXT,
    "route": TEXT,
    "status_class": TEXT,
    "requests": INTEGER,
    "refusals": INTEGER,
    "cache_hits": INTEGER,
    "request_bytes": INTEGER,
    "response_bytes": INTEGER,
    "duration_microseconds": INTEGER,
}

HOUR_KEY = """to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24')"""

# Rows of transactions that a reader before may not have seen, and some that it has.
WRITTEN = f"""
SELECT DISTINCT tenant_id, '{SUBJECT}', {HOUR_KEY} FROM api_usage
WHERE xid >= %(xid)s::text::xid8
"""

TOTALS = f"""
SELECT u.tenant_id, {HOUR_KEY}, hour, method, route, status_class, sum(requests), sum(refusals),
    sum(cache_hits), sum(request_bytes), sum(response_bytes), sum(duration_microseconds)
FROM {{source}}
GROUP BY 1, 2, 3, 4, 5, 6
"""
BY_HOUR = TOTALS.format(
    source="""unnest(%(tenant_ids)s::uuid[], %(hour_keys)s::text[]) AS k (tenant_id, hour_key)
JOIN api_usage u ON u.tenant_id = k.tenant_id AND u.hour = (k.hour_key || ':00Z')::timestamptz"""
)
OF_TENANT = TOTALS.format(source="api_usage u WHERE tenant_id = %(tenant_id)s::uuid")


def written_hours(reader: Reader, xid: int) -> pl.DataFrame:
    """The hours written by transactions from `xid` on, as `changes` of the spine."""
    return reader.frame(WRITTEN, CHANGE_COLUMNS, {"xid": str(xid)})


def read_usage(reader: Reader, keys: pl.DataFrame) -> pl.DataFrame:
    """The usage of `keys` (tenant_id, hour_key), of all processes."""
    parameters = {
        "tenant_ids": keys["tenant_id"].to_list(),
        "hour_keys": keys["hour_key"].to_list(),
    }
    return reader.frame(BY_HOUR, COLUMNS, parameters)


def read_all_usage(reader: Reader, tenant_id: str) -> pl.DataFrame:
    """All usage of a tenant, of all processes."""
    return reader.frame(OF_TENANT, COLUMNS, {"tenant_id": tenant_id})
