"""What the pipelines record: published snapshots, partition grain per tenant, whose data is held
back, runs and outages."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shop_api.db.types import Xid8
from shop_api.models.base import instant, metadata, tenant_id, tenant_primary_key

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
    # how many tenants are in quarantine: while it is none, nobody need ask whether they are
    Column("held_tenants", Integer, nullable=False, server_default=text("0")),
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
    tenant_id(),
    # refusals in a row
    Column("attempt", Integer, nullable=False),
    instant("retry_at"),
    # of the last snapshot that has all of the tenant; NULL when there was none
    instant("as_of", nullable=True),
    Column("cause", Text, nullable=False),
    # where a rule is broken: of which table's rows, which rule, by how many
    Column("table_name", Text, nullable=True),
    Column("rule", Text, nullable=True),
    Column("row_count", BigInteger, nullable=True),
    instant("created_at"),
    PrimaryKeyConstraint("tenant_id"),
    CheckConstraint("cause IN ('rule', 'unreadable', 'lost_files')", name="cause"),
)

pipeline_runs = Table(
    "pipeline_runs",
    metadata,
    Column("id", Uuid, primary_key=True),
    # in the order in which runs began
    Column("number", BigInteger, Identity(), nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    # rows written per table, and what else the run counted
    Column("counts", JSONB, nullable=False, server_default=text("'{}'")),
    # of all tenants together
    Column("rows_written", BigInteger, nullable=False, server_default=text("0")),
    Column("bytes_written", BigInteger, nullable=False, server_default=text("0")),
    Column("files_written", BigInteger, nullable=False, server_default=text("0")),
    # from the oldest event that the run took in, or from what its figures are as of, to its end
    Column("lag_microseconds", BigInteger, nullable=True),
    Column("duration_microseconds", BigInteger, nullable=True),
    Column("error", Text, nullable=True),
    instant("started_at"),
    instant("finished_at", nullable=True),
    CheckConstraint("state IN ('running', 'succeeded', 'failed')", name="state"),
    UniqueConstraint("number"),
    Index("ix_pipeline_runs_name", "name", "number"),
    Index("ix_pipeline_runs_started_at", "started_at", "id"),
)

# What a run did of one tenant: all that a tenant is told of runs. Without a reference to the run,
# which is nobody's: both are deleted together (pipelines/sinks/run_record.py says when).
pipeline_run_shares = Table(
    "pipeline_run_shares",
    metadata,
    tenant_id(),
    Column("run_id", Uuid, nullable=False),
    # the run's
    instant("started_at"),
    Column("state", Text, nullable=False),
    Column("rows_written", BigInteger, nullable=False),
    Column("bytes_written", BigInteger, nullable=False),
    Column("files_written", BigInteger, nullable=False),
    tenant_primary_key("started_at", "run_id"),
    CheckConstraint("state IN ('succeeded', 'refused', 'failed')", name="state"),
    # of all tenants, by the housekeeping: which are old, and who has new ones
    Index("ix_pipeline_run_shares_started_at", "started_at"),
)

# While the published figures are older than they may be there is one without an end.
lake_outages = Table(
    "lake_outages",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # of the snapshot that stood
    instant("as_of"),
    instant("started_at"),
    instant("ended_at", nullable=True),
    Index(
        "uq_lake_outages_open",
        "ended_at",
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=text("ended_at IS NULL"),
    ),
)
