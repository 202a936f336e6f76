"""Payments of orders."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from shop_api.models.base import (
    external_id,
    instant,
    metadata,
    money,
    row_id,
    tenant_foreign_key,
    tenant_id,
    tenant_primary_key,
)

payments = Table(
    "payments",
    metadata,
    tenant_id(),
    row_id(),
    Column("order_id", Uuid, nullable=False),
    Column("provider", Text, nullable=False),
    # how it was paid: cash, credit_card, bank_transfer, …
    Column("method", Text, nullable=False),
    Column("status", Text, nullable=False),
    # what was captured; before that what is to be
    money("amount"),
    money("authorized_amount", nullable=True),
    money("refunded_amount", default="0"),
    Column("currency", Text, nullable=False),
    # the provider's own id of it; of a manual payment whatever the clerk wrote
    Column("reference", Text, nullable=True),
    Column("failure_code", Text, nullable=True),
    instant("created_at"),
    instant("updated_at", nullable=True),
    external_id(),
    tenant_primary_key(),
    tenant_foreign_key("order_id", "orders", ondelete="CASCADE"),
    UniqueConstraint("tenant_id", "external_id"),
    CheckConstraint(
        "status IN ('pending', 'authorized', 'captured', 'failed', 'voided')", name="status"
    ),
    CheckConstraint("amount >= 0", name="amount"),
    CheckConstraint("refunded_amount BETWEEN 0 AND amount", name="refunded_amount"),
    Index(
        "uq_payments_reference",
        "tenant_id",
        "provider",
        "reference",
        unique=True,
        postgresql_where=text("provider <> 'manual'"),
    ),
    Index("ix_payments_order_id", "tenant_id", "order_id", "created_at", "id"),
)

# What providers have told, so that each telling is acted on once.
payment_callbacks = Table(
    "payment_callbacks",
    metadata,
    tenant_id(),
    Column("provider", Text, nullable=False),
    # the provider's id of the telling
    Column("callback_id", Text, nullable=False),
    Column("payment_id", Uuid, nullable=True),
    Column("outcome", Text, nullable=False),
    instant("received_at"),
    tenant_primary_key("provider", "callback_id"),
)
