"""Discounts, tax rates, shipping rates and exchange rates."""

from alembic import op

from migrations.tenancy import protect

revision = "0006"
down_revision = "0005"

TABLES = """
CREATE TABLE discounts (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    code TEXT,
    title TEXT NOT NULL,
    kind TEXT NOT NULL,
    percentage_ratio NUMERIC(9, 6),
    amount NUMERIC(18, 4),
    minimum_subtotal NUMERIC(18, 4),
    currency TEXT NOT NULL,
    usage_limit INTEGER,
    customer_usage_limit INTEGER,
    used_count INTEGER DEFAULT 0 NOT NULL,
    starts_at TIMESTAMP WITH TIME ZONE,
    ends_at TIMESTAMP WITH TIME ZONE,
    is_active BOOLEAN DEFAULT true NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_discounts PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_discounts_tenant_id_code UNIQUE (tenant_id, code),
    CONSTRAINT ck_discounts_kind CHECK (kind IN ('percentage', 'fixed', 'free_shipping')),
    CONSTRAINT ck_discounts_value CHECK (
        (kind = 'percentage') = (percentage_ratio IS NOT NULL) AND (kind = 'fixed') = (amount IS NOT NULL)),
    CONSTRAINT ck_discounts_percentage_ratio CHECK (percentage_ratio > 0 AND percentage_ratio <= 1),
    CONSTRAINT ck_discounts_amount CHECK (amount > 0),
    CONSTRAINT ck_discounts_minimum_subtotal CHECK (minimum_subtotal >= 0),
    CONSTRAINT ck_discounts_used_count CHECK (used_count >= 0 AND used_count <= usage_limit),
    CONSTRAINT ck_discounts_window CHECK (starts_at < ends_at)
);
CREATE INDEX ix_discounts_created_at ON discounts (tenant_id, created_at, id);
CREATE INDEX ix_discounts_automatic ON discounts (tenant_id, created_at) WHERE code IS NULL AND is_active;
CREATE TABLE order_discounts (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    order_id UUID NOT NULL,
    discount_id UUID,
    customer_id UUID,
    position INTEGER NOT NULL,
    code TEXT,
    title TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount NUMERIC(18, 4) NOT NULL,
    shipping_amount NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    line_amounts NUMERIC(18, 4)[] DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_order_discounts PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_order_discounts_tenant_id_order_id FOREIGN KEY(tenant_id, order_id) REFERENCES orders (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_order_discounts_tenant_id_discount_id FOREIGN KEY(tenant_id, discount_id) REFERENCES discounts (tenant_id, id) ON DELETE SET NULL (discount_id),
    CONSTRAINT ck_order_discounts_amount CHECK (amount >= 0),
    CONSTRAINT ck_order_discounts_shipping_amount CHECK (shipping_amount >= 0)
);
CREATE INDEX ix_order_discounts_order_id ON order_discounts (tenant_id, order_id, position);
CREATE INDEX ix_order_discounts_discount_id ON order_discounts (tenant_id, discount_id, customer_id) WHERE discount_id IS NOT NULL;
CREATE TABLE tax_rates (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    country TEXT NOT NULL,
    region TEXT,
    tax_class TEXT DEFAULT 'standard' NOT NULL,
    rate_ratio NUMERIC(9, 6) NOT NULL,
    applies_to_shipping BOOLEAN DEFAULT false NOT NULL,
    is_active BOOLEAN DEFAULT true NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_tax_rates PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_tax_rates_tenant_id_country_region_tax_class_name UNIQUE NULLS NOT DISTINCT (tenant_id, country, region, tax_class, name),
    CONSTRAINT ck_tax_rates_rate_ratio CHECK (rate_ratio >= 0 AND rate_ratio <= 1)
);
CREATE INDEX ix_tax_rates_created_at ON tax_rates (tenant_id, created_at, id);
CREATE TABLE shipping_rates (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    countries TEXT[] DEFAULT '{}' NOT NULL,
    price NUMERIC(18, 4) NOT NULL,
    price_per_kilogram NUMERIC(18, 4),
    maximum_weight_grams INTEGER,
    free_from_subtotal NUMERIC(18, 4),
    currency TEXT NOT NULL,
    is_active BOOLEAN DEFAULT true NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_shipping_rates PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_shipping_rates_tenant_id_name UNIQUE (tenant_id, name),
    CONSTRAINT ck_shipping_rates_kind CHECK (kind IN ('flat', 'by_weight')),
    CONSTRAINT ck_shipping_rates_price CHECK (price >= 0),
    CONSTRAINT ck_shipping_rates_price_per_kilogram CHECK ((kind = 'by_weight') = (price_per_kilogram IS NOT NULL) AND (price_per_kilogram IS NULL OR price_per_kilogram >= 0)),
    CONSTRAINT ck_shipping_rates_maximum_weight_grams CHECK (maximum_weight_grams > 0),
    CONSTRAINT ck_shipping_rates_free_from_subtotal CHECK (free_from_subtotal >= 0)
);
CREATE INDEX ix_shipping_rates_created_at ON shipping_rates (tenant_id, created_at, id);
CREATE TABLE exchange_rates (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    currency TEXT NOT NULL,
    rate NUMERIC(18, 10) NOT NULL,
    effective_at TIMESTAMP WITH TIME ZONE NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_exchange_rates PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_exchange_rates_tenant_id_currency_effective_at UNIQUE (tenant_id, currency, effective_at),
    CONSTRAINT ck_exchange_rates_currency CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT ck_exchange_rates_rate CHECK (rate > 0)
);
CREATE INDEX ix_exchange_rates_effective_at ON exchange_rates (tenant_id, effective_at, id);
CREATE INDEX ix_exchange_rates_currency ON exchange_rates (tenant_id, currency, effective_at, id);
"""


def upgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql(TABLES)
    protect(connection, "discounts", "tax_rates", "shipping_rates")
    protect(connection, "order_discounts", "exchange_rates", exporter=True)
