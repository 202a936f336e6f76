"""What the pipelines record: published snapshots, partition grain per tenant, and runs."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shop_api.db.types import Xid8
from shop_api.models.base import instant, metadata

# The newest row is what readers read: one Delta version per table, published together.
lake_snapshots = Table(
    "lake_snapshots",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # every commit before this instant is in the snapshot
    instant("as_of"),
    # {"orders": 17, …}: table → Delta version
    Column("versions", JSONB, nullable=False),
    # events of transactions before this one are in the snapshot
    Column("xid", Xid8, nullable=False),
    # exactly which transactions are in the snapshot, as pg_current_snapshot() writes it
    Column("transactions", Text, nullable=False),
    Column("system_identifier", BigInteger, nullable=False),
    instant("created_at", default_now=True),
)

# How a tenant's facts are partitioned; a tenant without a row has the grain 'year'.
lake_partitions = Table(
    "lake_partitions",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("grain", Text, nullable=False),
    instant("updated_at"),
    CheckConstraint("grain IN ('year', 'month')", name="grain"),
)

# Tenants whose data the export refused. Their rows stay as they were published; what has changed
# since is not kept: a later run makes all of such a tenant anew and takes it out of here.
lake_quarantine = Table(
    "lake_quarantine",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    # refusals in a row
    Column("attempt", Integer, nullable=False),
    instant("retry_at"),
    instant("created_at"),
)

pipeline_runs = Table(
    "pipeline_runs",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    # rows written per table, and what else the run counted
    Column("counts", JSONB, nullable=False, server_default=text("'{}'")),
    Column("error", Text, nullable=True),
    instant("started_at"),
    instant("finished_at", nullable=True),
    CheckConstraint("state IN ('running', 'succeeded', 'failed')", name="state"),
    Index("ix_pipeline_runs_name", "name", "started_at"),
)
