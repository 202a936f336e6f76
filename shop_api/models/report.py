"""Scheduled reports and their rendered files."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from shop_api.models.base import (
    instant,
    metadata,
    row_id,
    tenant_foreign_key,
    tenant_id,
    tenant_primary_key,
)

reports = Table(
    "reports",
    metadata,
    tenant_id(),
    row_id(),
    Column("kind", Text, nullable=False),
    # half-open, in the tenant's timezone
    Column("period_from", Date, nullable=False),
    Column("period_to", Date, nullable=False),
    Column("title", Text, nullable=False),
    # the lake snapshot the figures come from, and its instant
    Column("snapshot", Text, nullable=False),
    instant("as_of"),
    instant("created_at"),
    tenant_primary_key(),
    UniqueConstraint("tenant_id", "kind", "period_from", "period_to"),
    CheckConstraint("period_from < period_to", name="period"),
    Index("ix_reports_period_from", "tenant_id", "period_from", "id"),
)

report_files = Table(
    "report_files",
    metadata,
    tenant_id(),
    Column("report_id", Uuid, nullable=False),
    Column("format", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "report_id", "format"),
    tenant_foreign_key("report_id", "reports", ondelete="CASCADE"),
    CheckConstraint("format IN ('html', 'csv')", name="format"),
)
