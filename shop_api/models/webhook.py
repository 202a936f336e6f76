"""Webhooks: where a tenant's events are sent, what is to be sent, and each attempt at it."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

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

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    tenant_id(),
    row_id(),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=text("''")),
    # NULL: all that the scopes allow
    Column("event_types", ARRAY(Text), nullable=True),
    # what of events may be sent there: those of the credential that made it
    Column("scopes", ARRAY(Text), nullable=False),
    # deleted: nobody sees it any more, and its deliveries go a batch at a time
    Column("status", Text, nullable=False, server_default=text("'active'")),
    Column("pause_reason", Text, nullable=True),
    instant("paused_at", nullable=True),
    # the tenant's newest event when it was made: it gets those after it
    Column("after_sequence", BigInteger, nullable=False),
    # encrypted (webhooks/signing.py)
    Column("secret", LargeBinary, nullable=False),
    Column("previous_secret", LargeBinary, nullable=True),
    instant("previous_secret_expires_at", nullable=True),
    # attempts since the last that went well, and when the first of them was
    Column("consecutive_failures", Integer, nullable=False, server_default=text("0")),
    instant("failing_since", nullable=True),
    # it asked to be left alone until then
    instant("blocked_until", nullable=True),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    CheckConstraint("status IN ('active', 'paused', 'deleted')", name="status"),
    CheckConstraint("pause_reason IN ('asked', 'gone', 'failing')", name="pause_reason"),
    Index("ix_webhook_endpoints_created_at", "tenant_id", "created_at", "id"),
)

# An event for an endpoint. What is sent is made from the event when it is sent: events hold no
# personal data, and neither does this.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    tenant_id(),
    row_id(),
    Column("endpoint_id", Uuid, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("event_type", Text, nullable=False),
    # what the event is about: of one subject, the next waits for the one before
    Column("subject", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("attempt_count", Integer, nullable=False, server_default=text("0")),
    # attempts since it was last begun: it is begun anew when it is redelivered
    Column("tried_count", Integer, nullable=False, server_default=text("0")),
    Column("last_status", Integer, nullable=True),
    instant("next_attempt_at", nullable=True),
    instant("expires_at"),
    instant("finished_at", nullable=True),
    version(),
    instant("created_at"),
    tenant_primary_key(),
    tenant_foreign_key("endpoint_id", "webhook_endpoints", ondelete="CASCADE"),
    UniqueConstraint("tenant_id", "endpoint_id", "sequence"),
    CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state"),
    CheckConstraint("(state = 'pending') = (next_attempt_at IS NOT NULL)", name="next_attempt_at"),
    Index("ix_webhook_deliveries_created_at", "tenant_id", "created_at", "id"),
    Index("ix_webhook_deliveries_state", "tenant_id", "state", "created_at", "id"),
    Index("ix_webhook_deliveries_event_type", "tenant_id", "event_type", "created_at", "id"),
    Index("ix_webhook_deliveries_endpoint_id", "tenant_id", "endpoint_id", "created_at", "id"),
    Index(
        "ix_webhook_deliveries_due",
        "tenant_id",
        "endpoint_id",
        "next_attempt_at",
        "sequence",
        postgresql_where=text("state = 'pending'"),
    ),
    Index(
        "ix_webhook_deliveries_subject",
        "tenant_id",
        "endpoint_id",
        "subject",
        "sequence",
        postgresql_where=text("state = 'pending'"),
    ),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    tenant_id(),
    Column("delivery_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    instant("started_at"),
    Column("duration_microseconds", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("request_headers", JSONB, nullable=False),
    # of the answer, if there was one
    Column("status", Integer, nullable=True),
    Column("response_headers", JSONB, nullable=True),
    Column("response_body", Text, nullable=True),
    Column("error", Text, nullable=True),
    tenant_primary_key("delivery_id", "number"),
    tenant_foreign_key("delivery_id", "webhook_deliveries", ondelete="CASCADE"),
)
