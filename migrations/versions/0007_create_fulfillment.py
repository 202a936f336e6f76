"""Fulfilments, returns, and the ways of money back."""

from alembic import op

from migrations.tenancy import protect

revision = "0007"
down_revision = "0006"

TABLES = """
CREATE TABLE fulfillments (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    order_id UUID NOT NULL,
    carrier TEXT,
    tracking_number TEXT,
    tracking_url TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_fulfillments PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_fulfillments_tenant_id_order_id FOREIGN KEY(tenant_id, order_id) REFERENCES orders (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_fulfillments_order_id ON fulfillments (tenant_id, order_id, created_at, id);
CREATE TABLE fulfillment_lines (
    tenant_id UUID NOT NULL,
    fulfillment_id UUID NOT NULL,
    order_line_id UUID NOT NULL,
    quantity INTEGER NOT NULL,
    CONSTRAINT pk_fulfillment_lines PRIMARY KEY (tenant_id, fulfillment_id, order_line_id),
    CONSTRAINT fk_fulfillment_lines_tenant_id_fulfillment_id FOREIGN KEY(tenant_id, fulfillment_id) REFERENCES fulfillments (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_fulfillment_lines_tenant_id_order_line_id FOREIGN KEY(tenant_id, order_line_id) REFERENCES order_lines (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_fulfillment_lines_quantity CHECK (quantity > 0)
);
CREATE INDEX ix_fulfillment_lines_order_line_id ON fulfillment_lines (tenant_id, order_line_id);
CREATE TABLE returns (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    order_id UUID NOT NULL,
    reason TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_returns PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_returns_tenant_id_order_id FOREIGN KEY(tenant_id, order_id) REFERENCES orders (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_returns_order_id ON returns (tenant_id, order_id, created_at, id);
CREATE TABLE return_lines (
    tenant_id UUID NOT NULL,
    return_id UUID NOT NULL,
    order_line_id UUID NOT NULL,
    quantity INTEGER NOT NULL,
    is_restocked BOOLEAN NOT NULL,
    CONSTRAINT pk_return_lines PRIMARY KEY (tenant_id, return_id, order_line_id),
    CONSTRAINT fk_return_lines_tenant_id_return_id FOREIGN KEY(tenant_id, return_id) REFERENCES returns (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_return_lines_tenant_id_order_line_id FOREIGN KEY(tenant_id, order_line_id) REFERENCES order_lines (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_return_lines_quantity CHECK (quantity > 0)
);
CREATE INDEX ix_return_lines_order_line_id ON return_lines (tenant_id, order_line_id);
CREATE TABLE refund_payments (
    tenant_id UUID NOT NULL,
    refund_id UUID NOT NULL,
    payment_id UUID NOT NULL,
    amount NUMERIC(18, 4) NOT NULL,
    CONSTRAINT pk_refund_payments PRIMARY KEY (tenant_id, refund_id, payment_id),
    CONSTRAINT fk_refund_payments_tenant_id_refund_id FOREIGN KEY(tenant_id, refund_id) REFERENCES refunds (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_refund_payments_tenant_id_payment_id FOREIGN KEY(tenant_id, payment_id) REFERENCES payments (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_refund_payments_amount CHECK (amount > 0)
);
CREATE INDEX ix_refund_payments_payment_id ON refund_payments (tenant_id, payment_id);
CREATE TABLE payment_callbacks (
    tenant_id UUID NOT NULL,
    provider TEXT NOT NULL,
    callback_id TEXT NOT NULL,
    payment_id UUID,
    outcome TEXT NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_payment_callbacks PRIMARY KEY (tenant_id, provider, callback_id)
);
"""


def upgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql(TABLES)
    protect(
        connection,
        "fulfillments",
        "fulfillment_lines",
        "returns",
        "return_lines",
        "refund_payments",
        exporter=True,
    )
    protect(connection, "payment_callbacks")
