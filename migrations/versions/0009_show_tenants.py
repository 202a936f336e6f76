"""The platform reads all tenants' own records, where a transaction says that it means to."""

from alembic import op

revision = "0009"
down_revision = "0008"

LOOKUP = """
CREATE POLICY platform_lookup ON tenants FOR SELECT TO shop_app
    USING (NULLIF(current_setting('app.shows_tenants', true), '') = 'all');
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(LOOKUP)
