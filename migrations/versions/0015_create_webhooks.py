"""Webhooks: endpoints, deliveries and attempts."""

from alembic import op

from migrations.tenancy import protect

revision = "0015"
down_revision = "0014"

TABLES = """
CREATE TABLE webhook_endpoints (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    url TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    event_types TEXT[],
    scopes TEXT[] NOT NULL,
    status TEXT DEFAULT 'active' NOT NULL,
    pause_reason TEXT,
    paused_at TIMESTAMP WITH TIME ZONE,
    after_sequence BIGINT NOT NULL,
    secret BYTEA NOT NULL,
    previous_secret BYTEA,
    previous_secret_expires_at TIMESTAMP WITH TIME ZONE,
    consecutive_failures INTEGER DEFAULT 0 NOT NULL,
    failing_since TIMESTAMP WITH TIME ZONE,
    blocked_until TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_webhook_endpoints PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_webhook_endpoints_status CHECK (status IN ('active', 'paused', 'deleted')),
    CONSTRAINT ck_webhook_endpoints_pause_reason CHECK (pause_reason IN ('asked', 'gone', 'failing'))
);
CREATE INDEX ix_webhook_endpoints_created_at ON webhook_endpoints (tenant_id, created_at, id);
CREATE TABLE webhook_deliveries (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    endpoint_id UUID NOT NULL,
    sequence BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT DEFAULT 'pending' NOT NULL,
    attempt_count INTEGER DEFAULT 0 NOT NULL,
    tried_count INTEGER DEFAULT 0 NOT NULL,
    last_status INTEGER,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_webhook_deliveries PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_webhook_deliveries_tenant_id_endpoint_id FOREIGN KEY(tenant_id, endpoint_id) REFERENCES webhook_endpoints (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT uq_webhook_deliveries_tenant_id_endpoint_id_sequence UNIQUE (tenant_id, endpoint_id, sequence),
    CONSTRAINT ck_webhook_deliveries_state CHECK (state IN ('pending', 'delivered', 'failed')),
    CONSTRAINT ck_webhook_deliveries_next_attempt_at CHECK ((state = 'pending') = (next_attempt_at IS NOT NULL))
);
CREATE INDEX ix_webhook_deliveries_created_at ON webhook_deliveries (tenant_id, created_at, id);
CREATE INDEX ix_webhook_deliveries_due ON webhook_deliveries (tenant_id, endpoint_id, next_attempt_at, sequence) WHERE state = 'pending';
CREATE INDEX ix_webhook_deliveries_endpoint_id ON webhook_deliveries (tenant_id, endpoint_id, created_at, id);
CREATE INDEX ix_webhook_deliveries_event_type ON webhook_deliveries (tenant_id, event_type, created_at, id);
CREATE INDEX ix_webhook_deliveries_state ON webhook_deliveries (tenant_id, state, created_at, id);
CREATE INDEX ix_webhook_deliveries_subject ON webhook_deliveries (tenant_id, endpoint_id, subject, sequence) WHERE state = 'pending';
CREATE TABLE webhook_attempts (
    tenant_id UUID NOT NULL,
    delivery_id UUID NOT NULL,
    number INTEGER NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    duration_microseconds BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    request_headers JSONB NOT NULL,
    status INTEGER,
    response_headers JSONB,
    response_body TEXT,
    error TEXT,
    CONSTRAINT pk_webhook_attempts PRIMARY KEY (tenant_id, delivery_id, number),
    CONSTRAINT fk_webhook_attempts_tenant_id_delivery_id FOREIGN KEY(tenant_id, delivery_id) REFERENCES webhook_deliveries (tenant_id, id) ON DELETE CASCADE
);
"""

# Who sends looks for what is due of all tenants. Of endpoints it needs no more than that.
SENDER = """
CREATE POLICY exporter ON webhook_endpoints FOR SELECT TO shop_exporter USING (true);
GRANT SELECT (tenant_id, id, status, blocked_until) ON webhook_endpoints TO shop_exporter;
"""


def upgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql(TABLES)
    protect(connection, "webhook_endpoints", "webhook_attempts")
    protect(connection, "webhook_deliveries", exporter=True)
    connection.exec_driver_sql(SENDER)
