"""What changes an order's total besides its goods: discounts, taxes, shipping.

And what an amount in another currency is worth in the shop's.
"""

from sqlalchemy import (
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
from sqlalchemy.dialects.postgresql import ARRAY

from shop_api.models.base import (
    created_and_updated,
    exchange_rate,
    instant,
    metadata,
    money,
    row_id,
    tenant_foreign_key,
    tenant_id,
    tenant_primary_key,
    version,
)

discounts = Table(
    "discounts",
    metadata,
    tenant_id(),
    row_id(),
    # upper case; NULL: applies by itself
    Column("code", Text, nullable=True),
    Column("title", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # 0.15 for 15 %
    Column("percentage_ratio", Numeric(9, 6), nullable=True),
    money("amount", nullable=True),
    money("minimum_subtotal", nullable=True),
    Column("currency", Text, nullable=False),
    Column("usage_limit", Integer, nullable=True),
    Column("customer_usage_limit", Integer, nullable=True),
    # orders it was used on, cancelled ones taken off
    Column("used_count", Integer, nullable=False, server_default=text("0")),
    # half-open
    instant("starts_at", nullable=True),
    instant("ends_at", nullable=True),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    UniqueConstraint("tenant_id", "code"),
    CheckConstraint("kind IN ('percentage', 'fixed', 'free_shipping')", name="kind"),
    CheckConstraint(
        "(kind = 'percentage') = (percentage_ratio IS NOT NULL)"
        " AND (kind = 'fixed') = (amount IS NOT NULL)",
        name="value",
    ),
    CheckConstraint("percentage_ratio > 0 AND percentage_ratio <= 1", name="percentage_ratio"),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint("minimum_subtotal >= 0", name="minimum_subtotal"),
    CheckConstraint("used_count >= 0 AND used_count <= usage_limit", name="used_count"),
    CheckConstraint("starts_at < ends_at", name="window"),
    Index("ix_discounts_created_at", "tenant_id", "created_at", "id"),
    Index(
        "ix_discounts_automatic",
        "tenant_id",
        "created_at",
        postgresql_where=text("code IS NULL AND is_active"),
    ),
)

# What a discount took off an order, as it was then.
order_discounts = Table(
    "order_discounts",
    metadata,
    tenant_id(),
    row_id(),
    Column("order_id", Uuid, nullable=False),
    # NULL: deleted since
    Column("discount_id", Uuid, nullable=True),
    Column("customer_id", Uuid, nullable=True),
    Column("position", Integer, nullable=False),
    Column("code", Text, nullable=True),
    Column("title", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # off the goods; part of the order's discount_total
    money("amount"),
    # off the shipping; shipping_total is what remains
    money("shipping_amount", default="0"),
    # `amount` by line of the order, in the order of their positions
    Column("line_amounts", ARRAY(Numeric(18, 4)), nullable=False, server_default=text("'{}'")),
    instant("created_at"),
    tenant_primary_key(),
    tenant_foreign_key("order_id", "orders", ondelete="CASCADE"),
    tenant_foreign_key("discount_id", "discounts", ondelete="SET NULL (discount_id)"),
    CheckConstraint("amount >= 0", name="amount"),
    CheckConstraint("shipping_amount >= 0", name="shipping_amount"),
    Index("ix_order_discounts_order_id", "tenant_id", "order_id", "position"),
    Index(
        "ix_order_discounts_discount_id",
        "tenant_id",
        "discount_id",
        "customer_id",
        postgresql_where=text("discount_id IS NOT NULL"),
    ),
)

tax_rates = Table(
    "tax_rates",
    metadata,
    tenant_id(),
    row_id(),
    Column("name", Text, nullable=False),
    # where it is shipped to, ISO 3166-1; region NULL: all of the country
    Column("country", Text, nullable=False),
    Column("region", Text, nullable=True),
    Column("tax_class", Text, nullable=False, server_default=text("'standard'")),
    # 0.22 for 22 %
    Column("rate_ratio", Numeric(9, 6), nullable=False),
    Column("applies_to_shipping", Boolean, nullable=False, server_default=text("false")),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    UniqueConstraint(
        "tenant_id", "country", "region", "tax_class", "name", postgresql_nulls_not_distinct=True
    ),
    CheckConstraint("rate_ratio >= 0 AND rate_ratio <= 1", name="rate_ratio"),
    Index("ix_tax_rates_created_at", "tenant_id", "created_at", "id"),
)

shipping_rates = Table(
    "shipping_rates",
    metadata,
    tenant_id(),
    row_id(),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # where it goes to, ISO 3166-1; empty: everywhere
    Column("countries", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    money("price"),
    money("price_per_kilogram", nullable=True),
    Column("maximum_weight_grams", Integer, nullable=True),
    # goods after discounts from which on it costs nothing
    money("free_from_subtotal", nullable=True),
    Column("currency", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    UniqueConstraint("tenant_id", "name"),
    CheckConstraint("kind IN ('flat', 'by_weight')", name="kind"),
    CheckConstraint("price >= 0", name="price"),
    CheckConstraint(
        "(kind = 'by_weight') = (price_per_kilogram IS NOT NULL)"
        " AND (price_per_kilogram IS NULL OR price_per_kilogram >= 0)",
        name="price_per_kilogram",
    ),
    CheckConstraint("maximum_weight_grams > 0", name="maximum_weight_grams"),
    CheckConstraint("free_from_subtotal >= 0", name="free_from_subtotal"),
    Index("ix_shipping_rates_created_at", "tenant_id", "created_at", "id"),
)

# Units of the shop's currency for one of `currency`, from an instant on until that of the next one.
exchange_rates = Table(
    "exchange_rates",
    metadata,
    tenant_id(),
    row_id(),
    Column("currency", Text, nullable=False),
    exchange_rate("rate"),
    instant("effective_at"),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    UniqueConstraint("tenant_id", "currency", "effective_at"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint("rate > 0", name="rate"),
    Index("ix_exchange_rates_effective_at", "tenant_id", "effective_at", "id"),
    Index("ix_exchange_rates_currency", "tenant_id", "currency", "effective_at", "id"),
)
