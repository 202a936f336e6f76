"""The event spine and its cursors."""

from alembic import op

from migrations.tenancy import protect, share_platform_table

revision = "0004"
down_revision = "0003"

TABLES = """
CREATE TABLE events (
    tenant_id UUID NOT NULL,
    sequence BIGINT NOT NULL,
    type TEXT NOT NULL,
    subject_type TEXT NOT NULL,
    subject_id UUID,
    data JSONB NOT NULL,
    actor TEXT NOT NULL,
    request_id TEXT NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (tenant_id, sequence)
);
CREATE INDEX ix_events_recorded_at ON events (tenant_id, recorded_at);
CREATE INDEX ix_events_subject ON events (tenant_id, subject_id, sequence) WHERE subject_id IS NOT NULL;
CREATE INDEX ix_events_xid ON events (xid);
CREATE TABLE spine_cursors (
    name TEXT NOT NULL,
    xid xid8 NOT NULL,
    system_identifier BIGINT NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_spine_cursors PRIMARY KEY (name)
);
"""


def upgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql(TABLES)
    protect(connection, "events", app_may="SELECT, INSERT", exporter=True)
    share_platform_table(connection, "spine_cursors")
