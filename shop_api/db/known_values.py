"""Values written into a statement instead of sent beside it, so that Postgres plans for them.

Belongs here: bounds of ranges, names of enumerations and ids, of which a table's statistics know
how many rows they leave. Planned for any value, a range is taken for a two-hundredth of the table,
and what may be all of it is sorted. Does not: text of clients; it is sent, so that statements stay
few.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, bindparam


def known(value: datetime | int) -> BindParameter[datetime | int]:
    """A bound of a range."""
    return bindparam("known", value, unique=True, literal_execute=True)


def known_list(values: Sequence[str] | Sequence[UUID]) -> BindParameter[Any]:
    """Names that were checked against an enumeration, or ids the tenant has, for IN."""
    return bindparam("known", values, unique=True, expanding=True, literal_execute=True)
