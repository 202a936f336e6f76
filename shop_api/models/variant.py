"""Variants: what is stocked and sold. Every product has at least one."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shop_api.models.base import (
    created_and_updated,
    external_id,
    metadata,
    money,
    row_id,
    tenant_foreign_key,
    tenant_id,
    tenant_primary_key,
    version,
)

variants = Table(
    "variants",
    metadata,
    tenant_id(),
    row_id(),
    Column("product_id", Uuid, nullable=False),
    Column("title", Text, nullable=False),
    Column("sku", Text, nullable=True),
    # NULL: the product's
    money("price", nullable=True),
    money("cost_price", nullable=True),
    # [{"name": …, "value": …}]
    Column("options", JSONB, nullable=False, server_default=text("'[]'")),
    Column("position", Integer, nullable=False, server_default=text("0")),
    Column("track_quantity", Boolean, nullable=False, server_default=text("true")),
    Column("allow_backorder", Boolean, nullable=False, server_default=text("false")),
    Column("low_stock_alert", Integer, nullable=True),
    Column("weight_grams", Integer, nullable=True),
    external_id(),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    tenant_foreign_key("product_id", "products", ondelete="CASCADE"),
    UniqueConstraint("tenant_id", "sku"),
    UniqueConstraint("tenant_id", "external_id"),
    CheckConstraint("price >= 0", name="price"),
    CheckConstraint("cost_price >= 0", name="cost_price"),
    CheckConstraint("weight_grams >= 0", name="weight_grams"),
    Index("ix_variants_product_id", "tenant_id", "product_id", "position", "id"),
    Index(
        "ix_variants_low_stock_alert",
        "tenant_id",
        "id",
        postgresql_where=text("low_stock_alert IS NOT NULL"),
    ),
)
