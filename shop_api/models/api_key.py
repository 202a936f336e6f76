"""API keys: only their SHA-256 is kept."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

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

api_keys = Table(
    "api_keys",
    metadata,
    tenant_id(),
    row_id(),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    instant("expires_at", nullable=True),
    instant("last_used_at", nullable=True),
    instant("revoked_at", nullable=True),
    # what must come with it: Ed25519 signatures, a certificate (its SHA-256)
    Column("public_key", LargeBinary, nullable=True),
    Column("requires_signature", Boolean, nullable=False, server_default=text("false")),
    Column("certificate_fingerprint", LargeBinary, nullable=True),
    # the key that follows it since it was rotated
    Column("replaced_by", Uuid, nullable=True),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    tenant_foreign_key("replaced_by", "api_keys"),
    UniqueConstraint("key_hash"),
    CheckConstraint("kind IN ('secret', 'publishable')", name="kind"),
    CheckConstraint("public_key IS NOT NULL OR NOT requires_signature", name="signature"),
    Index("ix_api_keys_created_at", "tenant_id", "created_at", "id"),
)
