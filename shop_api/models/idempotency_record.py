"""Answers kept by idempotency key, written in the transaction of the effect they answer."""

from sqlalchemy import Boolean, Column, Index, LargeBinary, SmallInteger, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from shop_api.models.base import instant, metadata, tenant_id, tenant_primary_key

idempotency_records = Table(
    "idempotency_records",
    metadata,
    tenant_id(),
    # SHA-256 of principal, method, path and key
    Column("key_digest", LargeBinary, nullable=False),
    # SHA-256 of query and body: the same key with another body is refused
    Column("request_digest", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # answers that hold a secret (a new key, tokens) are stored encrypted
    Column("is_encrypted", Boolean, nullable=False, server_default=text("false")),
    # made of answers to requests with keys of their own: forgotten, it does nothing twice
    Column("is_composed", Boolean, nullable=False, server_default=text("false")),
    Column("request_id", Text, nullable=False),
    instant("created_at"),
    instant("expires_at"),
    tenant_primary_key("key_digest"),
    Index("ix_idempotency_records_expires_at", "tenant_id", "expires_at"),
)
