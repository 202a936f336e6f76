"""Keyset paging: pages by (sort value, id), stable under inserts, deletes, ties and nulls.

Belongs here: turning a position into a condition and rows into a page. Does not: cursors as clients
see them (web/pagination.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, tuple_

from shop_api.db.tenancy import TenantSession


@dataclass(frozen=True, slots=True)
class Sort:
    """A way to order a list. `column` is never NULL: coalesce in the definition if it could be."""

    name: str
    column: ColumnElement[Any]
    # the value as text in a cursor, and back, at full precision
    dump: Callable[[Any], str]
    parse: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Position:
    """A row's place in the order."""

    value: Any
    id: UUID


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page: after or before a position (or from the start), how long, in which order."""

    sort: Sort
    is_descending: bool
    limit: int
    after: Position | None = None
    before: Position | None = None
    # the last page of the list
    from_end: bool = False
    # of a small list: rows passed over instead of a position
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class KeysetPage:
    """Rows in the asked order, and whether there is more on either side."""

    rows: Sequence[Any]
    start: Position | None
    end: Position | None
    has_next: bool
    has_previous: bool


def fetch_page(
    session: TenantSession, query: Select[Any], id_column: ColumnElement[UUID], page: PageRequest
) -> KeysetPage:
    """Run `query` for one page. Its first two columns become the sort value and the id.

    One statement; reads `limit + 1` rows to know whether there is more.
    """
    sort = page.sort.column
    is_backward = page.before is not None or page.from_end
    runs_down = page.is_descending != is_backward
    position = page.before or page.after
    if position is not None:
        key = tuple_(sort, id_column)
        bound = tuple_(position.value, position.id)
        query = query.where(key < bound if runs_down else key > bound)
    order = (sort.desc(), id_column.desc()) if runs_down else (sort.asc(), id_column.asc())
    query = query.order_by(*order).limit(page.limit + 1)
    if page.offset:
        query = query.offset(page.offset)
    rows = list(session.execute(query))
    has_more = len(rows) > page.limit
    rows = rows[: page.limit]
    if is_backward:
        rows.reverse()
    return KeysetPage(
        rows=rows,
        start=Position(rows[0][0], rows[0][1]) if rows else None,
        end=Position(rows[-1][0], rows[-1][1]) if rows else None,
        has_next=position is not None if is_backward else has_more,
        has_previous=has_more if is_backward else page.after is not None,
    )
