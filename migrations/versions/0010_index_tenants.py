"""The platform's list of tenants, newest first."""

from alembic import op

revision = "0010"
down_revision = "0009"

INDEX = "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_tenants_created_at ON tenants (created_at, id)"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(INDEX)
