"""Stock: places, what lies there, and the ledger of every movement."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from shop_api.db.types import Xid8
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

locations = Table(
    "locations",
    metadata,
    tenant_id(),
    row_id(),
    Column("name", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("is_default", Boolean, nullable=False, server_default=text("false")),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    UniqueConstraint("tenant_id", "code"),
    Index("ix_locations_created_at", "tenant_id", "created_at", "id"),
    Index("uq_locations_default", "tenant_id", unique=True, postgresql_where=text("is_default")),
)

# `quantity` is what lies there, `reserved` what of it is promised to open orders. This row is the
# truth: it only changes by a conditional UPDATE, together with its ledger row.
stock_levels = Table(
    "stock_levels",
    metadata,
    tenant_id(),
    Column("variant_id", Uuid, nullable=False),
    Column("location_id", Uuid, nullable=False),
    Column("quantity", Integer, nullable=False, server_default=text("0")),
    Column("reserved", Integer, nullable=False, server_default=text("0")),
    # more of it was handed over than lay there: only where its variant allowed backorder
    Column("is_backordered", Boolean, nullable=False, server_default=text("false")),
    instant("updated_at"),
    PrimaryKeyConstraint("tenant_id", "variant_id", "location_id"),
    tenant_foreign_key("variant_id", "variants", ondelete="CASCADE"),
    tenant_foreign_key("location_id", "locations"),
    CheckConstraint("quantity >= 0 OR is_backordered", name="quantity"),
    CheckConstraint("reserved >= 0", name="reserved"),
)

stock_movements = Table(
    "stock_movements",
    metadata,
    tenant_id(),
    row_id(),
    Column("variant_id", Uuid, nullable=False),
    Column("location_id", Uuid, nullable=False),
    Column("quantity_delta", Integer, nullable=False),
    Column("reserved_delta", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("order_id", Uuid, nullable=True),
    Column("actor", Text, nullable=False),
    Column("note", Text, nullable=True),
    instant("created_at"),
    # of the transaction that wrote the row; NULL in rows older than the column
    Column("xid", Xid8, nullable=True, server_default=text("pg_current_xact_id()")),
    tenant_primary_key(),
    CheckConstraint(
        "reason IN ('reserved', 'released', 'sold', 'returned', 'adjusted', 'imported',"
        " 'correction', 'recount', 'received', 'damaged', 'lost')",
        name="reason",
    ),
    Index("ix_stock_movements_created_at", "tenant_id", "created_at", "id"),
    Index(
        "ix_stock_movements_order_id",
        "tenant_id",
        "order_id",
        "created_at",
        "id",
        postgresql_where=text("order_id IS NOT NULL"),
    ),
    Index("ix_stock_movements_variant_id", "tenant_id", "variant_id", "created_at", "id"),
    Index("ix_stock_movements_xid", "xid"),
)
