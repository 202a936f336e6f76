"""What tenants asked of the API, by hour."""

from alembic import op

from migrations.tenancy import protect

revision = "0011"
down_revision = "0010"

TABLE = """
CREATE TABLE api_usage (
    tenant_id UUID NOT NULL,
    hour TIMESTAMP WITH TIME ZONE NOT NULL,
    method TEXT NOT NULL,
    route TEXT NOT NULL,
    status_class TEXT NOT NULL,
    process_id UUID NOT NULL,
    requests BIGINT NOT NULL,
    refusals BIGINT NOT NULL,
    cache_hits BIGINT NOT NULL,
    request_bytes BIGINT NOT NULL,
    response_bytes BIGINT NOT NULL,
    duration_microseconds BIGINT NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT pk_api_usage PRIMARY KEY
        (tenant_id, hour, method, route, status_class, process_id)
);
CREATE INDEX ix_api_usage_xid ON api_usage (xid);
CREATE INDEX ix_api_usage_unfolded ON api_usage (tenant_id, hour)
    WHERE process_id <> '00000000-0000-0000-0000-000000000000';
"""


def upgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql(TABLE)
    protect(connection, "api_usage", exporter=True)
