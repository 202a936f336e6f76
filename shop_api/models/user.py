"""People who sign in."""

from sqlalchemy import CheckConstraint, Column, Index, Table, Text, UniqueConstraint

from shop_api.models.base import (
    created_and_updated,
    instant,
    metadata,
    row_id,
    tenant_id,
    tenant_primary_key,
    version,
)

users = Table(
    "users",
    metadata,
    tenant_id(),
    row_id(),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    instant("disabled_at", nullable=True),
    # access tokens made before this are refused
    instant("signed_out_at", nullable=True),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    UniqueConstraint("tenant_id", "email"),
    Index("ix_users_created_at", "tenant_id", "created_at", "id"),
    # signing in names an address before a tenant is known
    Index("ix_users_email", "email"),
    CheckConstraint("role IN ('owner', 'admin', 'staff', 'analyst', 'viewer')", name="role"),
)
