"""Long work asked for over HTTP: its state, its input files and the rows it refused."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shop_api.models.base import (
    created_and_updated,
    instant,
    metadata,
    row_id,
    tenant_foreign_key,
    tenant_id,
    tenant_primary_key,
    version,
)

jobs = Table(
    "jobs",
    metadata,
    tenant_id(),
    row_id(),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("params", JSONB, nullable=False),
    # 0 to 1
    Column("progress_ratio", Numeric(5, 4), nullable=False, server_default=text("0")),
    # {"customers": {"read": …, "written": …, "rejected": …}, …}
    Column("counts", JSONB, nullable=False, server_default=text("'{}'")),
    # where a resumed run goes on
    Column("checkpoint", JSONB, nullable=False, server_default=text("'{}'")),
    Column("error", Text, nullable=True),
    Column("is_cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("actor", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    # a running job whose holder has not renewed this by now is taken over
    instant("lease_until", nullable=True),
    instant("started_at", nullable=True),
    instant("finished_at", nullable=True),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    CheckConstraint(
        "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="state"
    ),
    Index("ix_jobs_created_at", "tenant_id", "created_at", "id"),
    Index("ix_jobs_open", "created_at", postgresql_where=text("state IN ('queued', 'running')")),
)

job_files = Table(
    "job_files",
    metadata,
    tenant_id(),
    Column("job_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "job_id", "name"),
    tenant_foreign_key("job_id", "jobs", ondelete="CASCADE"),
)

job_rejects = Table(
    "job_rejects",
    metadata,
    tenant_id(),
    Column("job_id", Uuid, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("file", Text, nullable=False),
    # 1-based, the header not counted
    Column("row", Integer, nullable=False),
    Column("column", Text, nullable=True),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("tenant_id", "job_id", "position"),
    tenant_foreign_key("job_id", "jobs", ondelete="CASCADE"),
)
