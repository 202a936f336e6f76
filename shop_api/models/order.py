"""Orders and their lines.

Amounts: total = subtotal − discount_total + shipping_total + tax_total. Where `tax_included`,
prices hold their tax already: tax_total says how much of them it is, and is not added.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shop_api.models.base import (
    amount_rank,
    created_and_updated,
    exchange_rate,
    external_id,
    instant,
    metadata,
    money,
    row_id,
    tenant_foreign_key,
    tenant_id,
    tenant_primary_key,
    version,
)

orders = Table(
    "orders",
    metadata,
    tenant_id(),
    row_id(),
    Column("number", BigInteger, nullable=False),
    Column("customer_id", Uuid, nullable=True),
    Column("status", Text, nullable=False),
    Column("payment_status", Text, nullable=False),
    Column("fulfillment_status", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("currency", Text, nullable=False),
    # the shop's when it was placed
    Column("base_currency", Text, nullable=False),
    # of base_currency for one of currency; NULL: none was known when it was placed
    exchange_rate("exchange_rate", nullable=True),
    money("subtotal"),
    money("discount_total", default="0"),
    money("shipping_total", default="0"),
    money("tax_total", default="0"),
    money("total"),
    amount_rank("total"),
    money("paid_total", default="0"),
    money("refunded_total", default="0"),
    # of refunded_total, what was given back while the order was not paid and names no units
    money("owed_again_total", default="0"),
    # {"line1", "line2", "city", "region", "postal_code", "country"} or NULL
    Column("shipping_address", JSONB(none_as_null=True), nullable=True),
    Column("billing_address", JSONB(none_as_null=True), nullable=True),
    # the name of the shipping rate that was chosen
    Column("shipping_method", Text, nullable=True),
    # part of tax_total
    money("shipping_tax_total", default="0"),
    Column("tax_included", Boolean, nullable=False, server_default=text("false")),
    # the table or till it was ordered at
    Column("session_id", Uuid, nullable=True),
    Column("note", Text, nullable=True),
    Column("cancel_reason", Text, nullable=True),
    # when its stock is given back unless it is paid; NULL once it need not be
    instant("hold_expires_at", nullable=True),
    instant("placed_at"),
    instant("completed_at", nullable=True),
    instant("cancelled_at", nullable=True),
    external_id(),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    tenant_foreign_key("customer_id", "customers"),
    tenant_foreign_key("session_id", "sessions"),
    UniqueConstraint("tenant_id", "number"),
    UniqueConstraint("tenant_id", "external_id"),
    CheckConstraint("status IN ('pending', 'processing', 'completed', 'cancelled')", name="status"),
    CheckConstraint(
        "payment_status IN ('unpaid', 'authorized', 'partially_paid', 'paid',"
        " 'partially_refunded', 'refunded')",
        name="payment_status",
    ),
    CheckConstraint(
        "fulfillment_status IN ('unfulfilled', 'partial', 'fulfilled', 'returned')",
        name="fulfillment_status",
    ),
    CheckConstraint(
        "total = subtotal - discount_total + shipping_total"
        " + CASE WHEN tax_included THEN 0 ELSE tax_total END",
        name="total",
    ),
    CheckConstraint("(status = 'cancelled') = (cancelled_at IS NOT NULL)", name="cancelled_at"),
    CheckConstraint(
        "exchange_rate > 0 AND (currency <> base_currency"
        " OR exchange_rate IS NOT NULL AND exchange_rate = 1)",
        name="exchange_rate",
    ),
    Index("ix_orders_placed_at", "tenant_id", "placed_at", "id"),
    Index("ix_orders_updated_at", "tenant_id", "updated_at", "id"),
    Index("ix_orders_total", "tenant_id", "total_rank", "id"),
    Index("ix_orders_status", "tenant_id", "status", "placed_at", "id"),
    Index("ix_orders_customer_id", "tenant_id", "customer_id", "placed_at", "id"),
    Index(
        "ix_orders_session_id",
        "tenant_id",
        "session_id",
        postgresql_where=text("session_id IS NOT NULL"),
    ),
    # the worker looks for those of all tenants
    Index(
        "ix_orders_hold_expires_at",
        "hold_expires_at",
        postgresql_where=text("hold_expires_at IS NOT NULL"),
    ),
)

order_lines = Table(
    "order_lines",
    metadata,
    tenant_id(),
    row_id(),
    Column("order_id", Uuid, nullable=False),
    Column("position", Integer, nullable=False),
    # NULL product: an imported line whose product is not in the catalogue
    Column("product_id", Uuid, nullable=True),
    Column("variant_id", Uuid, nullable=True),
    # where its stock was reserved; NULL when none was
    Column("location_id", Uuid, nullable=True),
    Column("title", Text, nullable=False),
    Column("sku", Text, nullable=True),
    Column("quantity", Integer, nullable=False),
    money("unit_price"),
    money("unit_cost", nullable=True),
    # unit_price × quantity
    money("subtotal"),
    money("discount_total", default="0"),
    money("tax_total", default="0"),
    Column("tax_included", Boolean, nullable=False, server_default=text("false")),
    # the sum of the rates that were applied: 0.22 for 22 %
    Column("tax_rate_ratio", Numeric(9, 6), nullable=False, server_default=text("0")),
    # subtotal − discount_total + tax_total, unless tax_included
    money("total"),
    Column("fulfilled_quantity", Integer, nullable=False, server_default=text("0")),
    Column("returned_quantity", Integer, nullable=False, server_default=text("0")),
    Column("refunded_quantity", Integer, nullable=False, server_default=text("0")),
    # refunded before they left: they never will
    Column("cancelled_quantity", Integer, nullable=False, server_default=text("0")),
    # of `total`, what has been refunded
    money("refunded_amount", default="0"),
    external_id(),
    tenant_primary_key(),
    tenant_foreign_key("order_id", "orders", ondelete="CASCADE"),
    tenant_foreign_key("product_id", "products"),
    tenant_foreign_key("variant_id", "variants"),
    UniqueConstraint("tenant_id", "order_id", "position"),
    CheckConstraint("quantity > 0", name="quantity"),
    CheckConstraint("subtotal = unit_price * quantity", name="subtotal"),
    CheckConstraint(
        "total = subtotal - discount_total + CASE WHEN tax_included THEN 0 ELSE tax_total END",
        name="total",
    ),
    CheckConstraint("fulfilled_quantity BETWEEN 0 AND quantity", name="fulfilled_quantity"),
    CheckConstraint("returned_quantity BETWEEN 0 AND fulfilled_quantity", name="returned_quantity"),
    CheckConstraint("refunded_quantity >= 0", name="refunded_quantity"),
    CheckConstraint(
        "cancelled_quantity BETWEEN 0 AND least(refunded_quantity, quantity - fulfilled_quantity)",
        name="cancelled_quantity",
    ),
    CheckConstraint("refunded_amount >= 0", name="refunded_amount"),
    Index(
        "ix_order_lines_product_id",
        "tenant_id",
        "product_id",
        postgresql_where=text("product_id IS NOT NULL"),
    ),
    Index(
        "ix_order_lines_variant_id",
        "tenant_id",
        "variant_id",
        postgresql_where=text("variant_id IS NOT NULL"),
    ),
)
