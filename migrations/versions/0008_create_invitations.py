"""Invitations of people."""

from alembic import op

from migrations.tenancy import protect

revision = "0008"
down_revision = "0007"

TABLES = """
CREATE TABLE invitations (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    token_hash BYTEA NOT NULL,
    invited_by TEXT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    accepted_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_invitations PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_invitations_token_hash UNIQUE (token_hash),
    CONSTRAINT ck_invitations_role CHECK (role IN ('owner', 'admin', 'staff', 'analyst', 'viewer'))
);
CREATE INDEX ix_invitations_created_at ON invitations (tenant_id, created_at, id);
CREATE UNIQUE INDEX uq_invitations_open ON invitations (tenant_id, email) WHERE accepted_at IS NULL AND revoked_at IS NULL;
"""

LOOKUP = """
CREATE POLICY credential_lookup ON invitations FOR SELECT TO shop_app
    USING (encode(token_hash, 'hex') = NULLIF(current_setting('app.credential', true), ''));
"""


def upgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql(TABLES)
    protect(connection, "invitations")
    connection.exec_driver_sql(LOOKUP)
