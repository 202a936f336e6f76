"""The ledger of stock says which transaction wrote a row, as events do: the lake finds new rows so.

Rows of before have none. The lake has all of them from its first reading of the ledger.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

COLUMN = """
ALTER TABLE stock_movements ADD COLUMN xid xid8;
ALTER TABLE stock_movements ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(COLUMN)
