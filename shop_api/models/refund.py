"""Refunds: money and goods that came back, by order line."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint, Uuid

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

refunds = Table(
    "refunds",
    metadata,
    tenant_id(),
    row_id(),
    Column("order_id", Uuid, nullable=False),
    # what the customer got back: goods + tax + shipping, goods and shipping before tax
    money("amount"),
    money("shipping_amount", default="0"),
    money("tax_amount", default="0"),
    # part of tax_amount
    money("shipping_tax_amount", default="0"),
    Column("currency", Text, nullable=False),
    Column("reason", Text, nullable=True),
    instant("created_at"),
    external_id(),
    tenant_primary_key(),
    tenant_foreign_key("order_id", "orders", ondelete="CASCADE"),
    UniqueConstraint("tenant_id", "external_id"),
    CheckConstraint("amount >= 0", name="amount"),
    CheckConstraint(
        "shipping_amount >= 0 AND shipping_tax_amount >= 0 AND tax_amount >= shipping_tax_amount",
        name="parts",
    ),
    Index("ix_refunds_order_id", "tenant_id", "order_id", "created_at", "id"),
)

# From which payments the money of a refund comes.
refund_payments = Table(
    "refund_payments",
    metadata,
    tenant_id(),
    Column("refund_id", Uuid, nullable=False),
    Column("payment_id", Uuid, nullable=False),
    money("amount"),
    tenant_primary_key("refund_id", "payment_id"),
    tenant_foreign_key("refund_id", "refunds", ondelete="CASCADE"),
    tenant_foreign_key("payment_id", "payments", ondelete="CASCADE"),
    CheckConstraint("amount > 0", name="amount"),
    Index("ix_refund_payments_payment_id", "tenant_id", "payment_id"),
)

refund_lines = Table(
    "refund_lines",
    metadata,
    tenant_id(),
    row_id(),
    Column("refund_id", Uuid, nullable=False),
    Column("order_line_id", Uuid, nullable=False),
    Column("quantity", Integer, nullable=False),
    # value of the goods, after discount, before tax
    money("amount"),
    money("tax_amount", default="0"),
    tenant_primary_key(),
    tenant_foreign_key("refund_id", "refunds", ondelete="CASCADE"),
    tenant_foreign_key("order_line_id", "order_lines", ondelete="CASCADE"),
    CheckConstraint("quantity >= 0", name="quantity"),
    CheckConstraint("amount >= 0", name="amount"),
    Index("ix_refund_lines_refund_id", "tenant_id", "refund_id"),
    Index("ix_refund_lines_order_line_id", "tenant_id", "order_line_id"),
)
