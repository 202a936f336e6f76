"""Who serves may read which revision the schema is at, to refuse one that is too old."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.get_bind().exec_driver_sql("GRANT SELECT ON alembic_version TO shop_app")
