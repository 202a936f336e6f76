"""Invitations: an address that may become a user."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from shop_api.models.base import (
    created_and_updated,
    instant,
    metadata,
    row_id,
    tenant_id,
    tenant_primary_key,
    version,
)

invitations = Table(
    "invitations",
    metadata,
    tenant_id(),
    row_id(),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),
    # SHA-256 of the token, which is shown once
    Column("token_hash", LargeBinary, nullable=False),
    Column("invited_by", Text, nullable=False),
    instant("expires_at"),
    instant("accepted_at", nullable=True),
    instant("revoked_at", nullable=True),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    UniqueConstraint("token_hash"),
    CheckConstraint("role IN ('owner', 'admin', 'staff', 'analyst', 'viewer')", name="role"),
    Index("ix_invitations_created_at", "tenant_id", "created_at", "id"),
    Index(
        "uq_invitations_open",
        "tenant_id",
        "email",
        unique=True,
        postgresql_where=text("accepted_at IS NULL AND revoked_at IS NULL"),
    ),
)
