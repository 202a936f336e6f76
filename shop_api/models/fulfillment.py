"""Goods on their way out and back: fulfilments and returns, by order line."""

from sqlalchemy import Boolean, CheckConstraint, Column, Index, Integer, Table, Text, Uuid

from shop_api.models.base import (
    instant,
    metadata,
    row_id,
    tenant_foreign_key,
    tenant_id,
    tenant_primary_key,
)

fulfillments = Table(
    "fulfillments",
    metadata,
    tenant_id(),
    row_id(),
    Column("order_id", Uuid, nullable=False),
    Column("carrier", Text, nullable=True),
    Column("tracking_number", Text, nullable=True),
    Column("tracking_url", Text, nullable=True),
    instant("created_at"),
    tenant_primary_key(),
    tenant_foreign_key("order_id", "orders", ondelete="CASCADE"),
    Index("ix_fulfillments_order_id", "tenant_id", "order_id", "created_at", "id"),
)

fulfillment_lines = Table(
    "fulfillment_lines",
    metadata,
    tenant_id(),
    Column("fulfillment_id", Uuid, nullable=False),
    Column("order_line_id", Uuid, nullable=False),
    Column("quantity", Integer, nullable=False),
    tenant_primary_key("fulfillment_id", "order_line_id"),
    tenant_foreign_key("fulfillment_id", "fulfillments", ondelete="CASCADE"),
    tenant_foreign_key("order_line_id", "order_lines", ondelete="CASCADE"),
    CheckConstraint("quantity > 0", name="quantity"),
    Index("ix_fulfillment_lines_order_line_id", "tenant_id", "order_line_id"),
)

returns = Table(
    "returns",
    metadata,
    tenant_id(),
    row_id(),
    Column("order_id", Uuid, nullable=False),
    Column("reason", Text, nullable=True),
    instant("created_at"),
    tenant_primary_key(),
    tenant_foreign_key("order_id", "orders", ondelete="CASCADE"),
    Index("ix_returns_order_id", "tenant_id", "order_id", "created_at", "id"),
)

return_lines = Table(
    "return_lines",
    metadata,
    tenant_id(),
    Column("return_id", Uuid, nullable=False),
    Column("order_line_id", Uuid, nullable=False),
    Column("quantity", Integer, nullable=False),
    # back on the shelf, to be sold again
    Column("is_restocked", Boolean, nullable=False),
    tenant_primary_key("return_id", "order_line_id"),
    tenant_foreign_key("return_id", "returns", ondelete="CASCADE"),
    tenant_foreign_key("order_line_id", "order_lines", ondelete="CASCADE"),
    CheckConstraint("quantity > 0", name="quantity"),
    Index("ix_return_lines_order_line_id", "tenant_id", "order_line_id"),
)
