"""What the shop made or deleted between an import's checks and its writing.

Belongs here: from the constraint Postgres refused to a sentence for the job. Does not: checks of
what is there before (checks.py).
"""

import psycopg
from sqlalchemy.exc import IntegrityError

from shop_api.kernel.errors import DomainError, conflict

AGAIN = (
    " while the import ran. Run it again: what is written stays, and a row that still clashes is"
    " refused with its reason."
)


def clash(error: IntegrityError) -> DomainError | None:
    """The refusal that a unique or foreign key stands for; None for any other constraint."""
    origin = error.orig
    if not isinstance(origin, psycopg.errors.UniqueViolation | psycopg.errors.ForeignKeyViolation):
        return None
    table, constraint = origin.diag.table_name or "", origin.diag.constraint_name or ""
    _, _, columns = constraint.partition(f"_{table}_tenant_id_")
    if isinstance(origin, psycopg.errors.UniqueViolation):
        what = f"A row of {table} with the same {columns} was made"
    else:
        what = f"What a row of {table} names by its {columns} was deleted"
    return conflict("shop_changed", what + AGAIN)
