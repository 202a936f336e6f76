"""Customers, orders, payments and refunds."""

from alembic import op

from migrations.search import create_search
from migrations.tenancy import protect

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE customers (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    email TEXT,
    first_name TEXT DEFAULT '' NOT NULL,
    last_name TEXT DEFAULT '' NOT NULL,
    phone TEXT,
    tags TEXT[] DEFAULT '{}' NOT NULL,
    external_id TEXT,
    erased_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    search TSVECTOR GENERATED ALWAYS AS (search_document(tenant_id, ARRAY[first_name, last_name, email], ARRAY[phone], tags)) STORED,
    CONSTRAINT pk_customers PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_customers_tenant_id_email UNIQUE (tenant_id, email),
    CONSTRAINT uq_customers_tenant_id_external_id UNIQUE (tenant_id, external_id)
);
CREATE INDEX ix_customers_search ON customers USING gin (search) WITH (gin_pending_list_limit = 512);
CREATE INDEX ix_customers_created_at ON customers (tenant_id, created_at, id);
CREATE INDEX ix_customers_updated_at ON customers (tenant_id, updated_at, id);
CREATE TABLE customer_addresses (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    customer_id UUID NOT NULL,
    recipient TEXT,
    company TEXT,
    phone TEXT,
    label TEXT,
    line1 TEXT,
    line2 TEXT,
    city TEXT,
    region TEXT,
    postal_code TEXT,
    country TEXT,
    is_default_shipping BOOLEAN DEFAULT false NOT NULL,
    is_default_billing BOOLEAN DEFAULT false NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_customer_addresses PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_customer_addresses_tenant_id_customer_id FOREIGN KEY(tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_customer_addresses_customer_id ON customer_addresses (tenant_id, customer_id, created_at, id);
CREATE UNIQUE INDEX uq_customer_addresses_default_billing ON customer_addresses (tenant_id, customer_id) WHERE is_default_billing;
CREATE UNIQUE INDEX uq_customer_addresses_default_shipping ON customer_addresses (tenant_id, customer_id) WHERE is_default_shipping;
CREATE TABLE sessions (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    location_id UUID,
    channel TEXT NOT NULL,
    currency TEXT NOT NULL,
    note TEXT,
    opened_by TEXT NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_sessions PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_sessions_tenant_id_location_id FOREIGN KEY(tenant_id, location_id) REFERENCES locations (tenant_id, id),
    CONSTRAINT ck_sessions_kind CHECK (kind IN ('table', 'till'))
);
CREATE INDEX ix_sessions_opened_at ON sessions (tenant_id, opened_at, id);
CREATE INDEX ix_sessions_location_id ON sessions (tenant_id, location_id) WHERE location_id IS NOT NULL;
CREATE UNIQUE INDEX uq_sessions_open ON sessions (tenant_id, kind, name) WHERE closed_at IS NULL;
CREATE TABLE orders (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    number BIGINT NOT NULL,
    customer_id UUID,
    status TEXT NOT NULL,
    payment_status TEXT NOT NULL,
    fulfillment_status TEXT NOT NULL,
    channel TEXT NOT NULL,
    currency TEXT NOT NULL,
    base_currency TEXT NOT NULL,
    exchange_rate NUMERIC(18, 10),
    subtotal NUMERIC(18, 4) NOT NULL,
    discount_total NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    shipping_total NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    tax_total NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    total NUMERIC(18, 4) NOT NULL,
    total_rank BIGINT GENERATED ALWAYS AS ((total * 10000)::bigint) STORED,
    paid_total NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    refunded_total NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    owed_again_total NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    shipping_address JSONB,
    billing_address JSONB,
    shipping_method TEXT,
    shipping_tax_total NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    tax_included BOOLEAN DEFAULT false NOT NULL,
    session_id UUID,
    note TEXT,
    cancel_reason TEXT,
    hold_expires_at TIMESTAMP WITH TIME ZONE,
    placed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    completed_at TIMESTAMP WITH TIME ZONE,
    cancelled_at TIMESTAMP WITH TIME ZONE,
    external_id TEXT,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_orders PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_orders_tenant_id_customer_id FOREIGN KEY(tenant_id, customer_id) REFERENCES customers (tenant_id, id),
    CONSTRAINT fk_orders_tenant_id_session_id FOREIGN KEY(tenant_id, session_id) REFERENCES sessions (tenant_id, id),
    CONSTRAINT uq_orders_tenant_id_number UNIQUE (tenant_id, number),
    CONSTRAINT uq_orders_tenant_id_external_id UNIQUE (tenant_id, external_id),
    CONSTRAINT ck_orders_status CHECK (status IN ('pending', 'processing', 'completed', 'cancelled')),
    CONSTRAINT ck_orders_payment_status CHECK (payment_status IN ('unpaid', 'authorized', 'partially_paid', 'paid', 'partially_refunded', 'refunded')),
    CONSTRAINT ck_orders_fulfillment_status CHECK (fulfillment_status IN ('unfulfilled', 'partial', 'fulfilled', 'returned')),
    CONSTRAINT ck_orders_total CHECK (total = subtotal - discount_total + shipping_total + CASE WHEN tax_included THEN 0 ELSE tax_total END),
    CONSTRAINT ck_orders_cancelled_at CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL)),
    CONSTRAINT ck_orders_exchange_rate CHECK (exchange_rate > 0 AND (currency <> base_currency OR exchange_rate IS NOT NULL AND exchange_rate = 1))
);
CREATE INDEX ix_orders_customer_id ON orders (tenant_id, customer_id, placed_at, id);
CREATE INDEX ix_orders_placed_at ON orders (tenant_id, placed_at, id);
CREATE INDEX ix_orders_status ON orders (tenant_id, status, placed_at, id);
CREATE INDEX ix_orders_total ON orders (tenant_id, total_rank, id);
CREATE INDEX ix_orders_session_id ON orders (tenant_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX ix_orders_hold_expires_at ON orders (hold_expires_at) WHERE hold_expires_at IS NOT NULL;
CREATE INDEX ix_orders_updated_at ON orders (tenant_id, updated_at, id);
CREATE TABLE order_lines (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    order_id UUID NOT NULL,
    position INTEGER NOT NULL,
    product_id UUID,
    variant_id UUID,
    location_id UUID,
    title TEXT NOT NULL,
    sku TEXT,
    quantity INTEGER NOT NULL,
    unit_price NUMERIC(18, 4) NOT NULL,
    unit_cost NUMERIC(18, 4),
    subtotal NUMERIC(18, 4) NOT NULL,
    discount_total NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    tax_total NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    tax_included BOOLEAN DEFAULT false NOT NULL,
    tax_rate_ratio NUMERIC(9, 6) DEFAULT 0 NOT NULL,
    total NUMERIC(18, 4) NOT NULL,
    fulfilled_quantity INTEGER DEFAULT 0 NOT NULL,
    returned_quantity INTEGER DEFAULT 0 NOT NULL,
    refunded_quantity INTEGER DEFAULT 0 NOT NULL,
    cancelled_quantity INTEGER DEFAULT 0 NOT NULL,
    refunded_amount NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    external_id TEXT,
    CONSTRAINT pk_order_lines PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_order_lines_tenant_id_order_id FOREIGN KEY(tenant_id, order_id) REFERENCES orders (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_order_lines_tenant_id_product_id FOREIGN KEY(tenant_id, product_id) REFERENCES products (tenant_id, id),
    CONSTRAINT fk_order_lines_tenant_id_variant_id FOREIGN KEY(tenant_id, variant_id) REFERENCES variants (tenant_id, id),
    CONSTRAINT uq_order_lines_tenant_id_order_id_position UNIQUE (tenant_id, order_id, position),
    CONSTRAINT ck_order_lines_quantity CHECK (quantity > 0),
    CONSTRAINT ck_order_lines_subtotal CHECK (subtotal = unit_price * quantity),
    CONSTRAINT ck_order_lines_total CHECK (total = subtotal - discount_total + CASE WHEN tax_included THEN 0 ELSE tax_total END),
    CONSTRAINT ck_order_lines_fulfilled_quantity CHECK (fulfilled_quantity BETWEEN 0 AND quantity),
    CONSTRAINT ck_order_lines_returned_quantity CHECK (returned_quantity BETWEEN 0 AND fulfilled_quantity),
    CONSTRAINT ck_order_lines_refunded_quantity CHECK (refunded_quantity >= 0),
    CONSTRAINT ck_order_lines_cancelled_quantity CHECK (cancelled_quantity BETWEEN 0 AND least(refunded_quantity, quantity - fulfilled_quantity)),
    CONSTRAINT ck_order_lines_refunded_amount CHECK (refunded_amount >= 0)
);
CREATE INDEX ix_order_lines_product_id ON order_lines (tenant_id, product_id) WHERE product_id IS NOT NULL;
CREATE INDEX ix_order_lines_variant_id ON order_lines (tenant_id, variant_id) WHERE variant_id IS NOT NULL;
CREATE TABLE payments (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    order_id UUID NOT NULL,
    provider TEXT NOT NULL,
    method TEXT NOT NULL,
    status TEXT NOT NULL,
    amount NUMERIC(18, 4) NOT NULL,
    authorized_amount NUMERIC(18, 4),
    refunded_amount NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    currency TEXT NOT NULL,
    reference TEXT,
    failure_code TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE,
    external_id TEXT,
    CONSTRAINT pk_payments PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_payments_tenant_id_order_id FOREIGN KEY(tenant_id, order_id) REFERENCES orders (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT uq_payments_tenant_id_external_id UNIQUE (tenant_id, external_id),
    CONSTRAINT ck_payments_status CHECK (status IN ('pending', 'authorized', 'captured', 'failed', 'voided')),
    CONSTRAINT ck_payments_amount CHECK (amount >= 0),
    CONSTRAINT ck_payments_refunded_amount CHECK (refunded_amount BETWEEN 0 AND amount)
);
CREATE UNIQUE INDEX uq_payments_reference ON payments (tenant_id, provider, reference) WHERE provider <> 'manual';
CREATE INDEX ix_payments_order_id ON payments (tenant_id, order_id, created_at, id);
CREATE TABLE refunds (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    order_id UUID NOT NULL,
    amount NUMERIC(18, 4) NOT NULL,
    shipping_amount NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    tax_amount NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    shipping_tax_amount NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    currency TEXT NOT NULL,
    reason TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    external_id TEXT,
    CONSTRAINT pk_refunds PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_refunds_tenant_id_order_id FOREIGN KEY(tenant_id, order_id) REFERENCES orders (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT uq_refunds_tenant_id_external_id UNIQUE (tenant_id, external_id),
    CONSTRAINT ck_refunds_amount CHECK (amount >= 0),
    CONSTRAINT ck_refunds_parts CHECK (shipping_amount >= 0 AND shipping_tax_amount >= 0 AND tax_amount >= shipping_tax_amount)
);
CREATE INDEX ix_refunds_order_id ON refunds (tenant_id, order_id, created_at, id);
CREATE TABLE refund_lines (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    refund_id UUID NOT NULL,
    order_line_id UUID NOT NULL,
    quantity INTEGER NOT NULL,
    amount NUMERIC(18, 4) NOT NULL,
    tax_amount NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    CONSTRAINT pk_refund_lines PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_refund_lines_tenant_id_refund_id FOREIGN KEY(tenant_id, refund_id) REFERENCES refunds (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_refund_lines_tenant_id_order_line_id FOREIGN KEY(tenant_id, order_line_id) REFERENCES order_lines (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_refund_lines_quantity CHECK (quantity >= 0),
    CONSTRAINT ck_refund_lines_amount CHECK (amount >= 0)
);
CREATE INDEX ix_refund_lines_order_line_id ON refund_lines (tenant_id, order_line_id);
CREATE INDEX ix_refund_lines_refund_id ON refund_lines (tenant_id, refund_id);
"""


def upgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql(TABLES)
    create_search(connection, "customers", "d.first_name || ' ' || d.last_name")
    protect(
        connection,
        "customers",
        "customer_addresses",
        "sessions",
        "orders",
        "order_lines",
        "payments",
        "refunds",
        "refund_lines",
        exporter=True,
    )
