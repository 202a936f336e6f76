"""Refresh tokens: a family per sign-in, one live token at a time, kept as SHA-256."""

from sqlalchemy import Column, Index, LargeBinary, Table, UniqueConstraint, Uuid, text

from shop_api.models.base import (
    instant,
    metadata,
    row_id,
    tenant_foreign_key,
    tenant_id,
    tenant_primary_key,
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    tenant_id(),
    row_id(),
    Column("user_id", Uuid, nullable=False),
    Column("family_id", Uuid, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    instant("created_at"),
    instant("expires_at"),
    instant("used_at", nullable=True),
    instant("revoked_at", nullable=True),
    tenant_primary_key(),
    tenant_foreign_key("user_id", "users", ondelete="CASCADE"),
    UniqueConstraint("token_hash"),
    Index("ix_refresh_tokens_family_id", "tenant_id", "family_id"),
    # whether a sign-in has ended is asked for every access token
    Index(
        "ix_refresh_tokens_revoked",
        "tenant_id",
        "family_id",
        postgresql_where=text("revoked_at IS NOT NULL"),
    ),
)
