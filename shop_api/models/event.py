"""The spine: every change, in order per tenant; and how far each reader has come."""

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from shop_api.db.types import Xid8
from shop_api.models.base import instant, metadata, tenant_id

events = Table(
    "events",
    metadata,
    tenant_id(),
    # Gapless per tenant: its counter is locked until the commit, so commit order = sequence order.
    Column("sequence", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject_type", Text, nullable=False),
    # NULL for an event about many subjects, whose ids are then in data["ids"]
    Column("subject_id", Uuid, nullable=True),
    Column("data", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    instant("recorded_at", default_now=True),
    PrimaryKeyConstraint("tenant_id", "sequence"),
    Index("ix_events_xid", "xid"),
    Index(
        "ix_events_subject",
        "tenant_id",
        "subject_id",
        "sequence",
        postgresql_where=text("subject_id IS NOT NULL"),
    ),
    Index("ix_events_recorded_at", "tenant_id", "recorded_at"),
)

spine_cursors = Table(
    "spine_cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("xid", Xid8, nullable=False),
    # identifies the Postgres the xid belongs to: after a restore elsewhere xids start again
    Column("system_identifier", BigInteger, nullable=False),
    instant("updated_at"),
)
