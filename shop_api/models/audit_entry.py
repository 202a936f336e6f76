"""The audit log: who changed what, in the transaction of the change."""

from sqlalchemy import Column, Index, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from shop_api.models.base import instant, metadata, row_id, tenant_id, tenant_primary_key

audit_entries = Table(
    "audit_entries",
    metadata,
    tenant_id(),
    row_id(),
    Column("action", Text, nullable=False),
    Column("subject_type", Text, nullable=False),
    Column("subject_id", Uuid, nullable=True),
    Column("actor", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("changes", JSONB, nullable=False),
    instant("created_at"),
    tenant_primary_key(),
    Index("ix_audit_entries_created_at", "tenant_id", "created_at", "id"),
    Index("ix_audit_entries_action", "tenant_id", "action", "created_at", "id"),
    Index("ix_audit_entries_actor", "tenant_id", "actor", "created_at", "id"),
    Index("ix_audit_entries_subject_type", "tenant_id", "subject_type", "created_at", "id"),
    Index(
        "ix_audit_entries_subject_id",
        "tenant_id",
        "subject_id",
        "created_at",
        "id",
        postgresql_where=text("subject_id IS NOT NULL"),
    ),
    Index("ix_audit_entries_request_id", "tenant_id", "request_id"),
)
