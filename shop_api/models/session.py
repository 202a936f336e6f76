"""Sessions: a table or till that is open, and what is ordered at it."""

from sqlalchemy import CheckConstraint, Column, Index, Table, Text, Uuid, text

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

sessions = Table(
    "sessions",
    metadata,
    tenant_id(),
    row_id(),
    Column("kind", Text, nullable=False),
    # "Table 4", "Till 1": one of a kind is open at a time
    Column("name", Text, nullable=False),
    Column("location_id", Uuid, nullable=True),
    # of the orders placed at it
    Column("channel", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("note", Text, nullable=True),
    Column("opened_by", Text, nullable=False),
    instant("opened_at"),
    instant("closed_at", nullable=True),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    tenant_foreign_key("location_id", "locations"),
    CheckConstraint("kind IN ('table', 'till')", name="kind"),
    Index("ix_sessions_opened_at", "tenant_id", "opened_at", "id"),
    Index(
        "ix_sessions_location_id",
        "tenant_id",
        "location_id",
        postgresql_where=text("location_id IS NOT NULL"),
    ),
    Index(
        "uq_sessions_open",
        "tenant_id",
        "kind",
        "name",
        unique=True,
        postgresql_where=text("closed_at IS NULL"),
    ),
)
