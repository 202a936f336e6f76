"""Tenants, and the counters that number a tenant's events and orders."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shop_api.models.base import created_and_updated, metadata, version

tenants = Table(
    "tenants",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    # whether catalogue prices are what the customer pays, taxes in them
    Column("prices_include_tax", Boolean, nullable=False, server_default=text("false")),
    Column("cors_origins", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'")),
    # what the platform grants beside the plan, by the names of PlanLimits
    Column("rate_limits", JSONB, nullable=False, server_default=text("'{}'")),
    version(),
    *created_and_updated(),
    UniqueConstraint("slug"),
    CheckConstraint("plan IN ('free', 'basic', 'pro', 'enterprise')", name="plan"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    Index("ix_tenants_created_at", "created_at", "id"),
)

# One row per tenant and counter ('event', 'order'). Two rows, so that placing an order does not
# hold the event counter while it inserts its lines.
tenant_counters = Table(
    "tenant_counters",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("tenant_id", "name"),
)
