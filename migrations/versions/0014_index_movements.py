"""Rows of the ledger by the transaction that wrote them."""

from alembic import op

revision = "0014"
down_revision = "0013"

INDEX = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_stock_movements_xid ON stock_movements (xid)
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(INDEX)
