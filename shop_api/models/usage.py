"""What tenants asked of the API, hour by hour, as each process counted it."""

from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, Table, Text, Uuid, text

from shop_api.db.types import Xid8
from shop_api.models.base import instant, metadata, tenant_id, tenant_primary_key

# Of the rows that hold the sums of all processes, of hours that none writes any more.
ALL_PROCESSES = UUID(int=0)

# A row has the totals of one process, which alone writes it: whatever is written once more after a
# lost connection is the same or more, never twice. Those of all processes add up.
api_usage = Table(
    "api_usage",
    metadata,
    tenant_id(),
    # its first instant, in UTC
    instant("hour"),
    Column("method", Text, nullable=False),
    # the template, or 'none'
    Column("route", Text, nullable=False),
    # '2xx' … '5xx'
    Column("status_class", Text, nullable=False),
    Column("process_id", Uuid, nullable=False),
    Column("requests", BigInteger, nullable=False),
    # of them, those answered 429
    Column("refusals", BigInteger, nullable=False),
    Column("cache_hits", BigInteger, nullable=False),
    Column("request_bytes", BigInteger, nullable=False),
    Column("response_bytes", BigInteger, nullable=False),
    Column("duration_microseconds", BigInteger, nullable=False),
    # of the transaction that wrote the row last
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    tenant_primary_key("hour", "method", "route", "status_class", "process_id"),
    Index("ix_api_usage_xid", "xid"),
    Index(
        "ix_api_usage_unfolded",
        "tenant_id",
        "hour",
        postgresql_where=text(f"process_id <> '{ALL_PROCESSES}'"),
    ),
)
