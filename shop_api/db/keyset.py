"""Keyset paging: pages by (sort value, id), stable under inserts, deletes, ties and nulls.

Belongs here: turning a position into a condition and rows into a page. Does not: cursors as clients
see them (web/pagination.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Text, bindparam, cast, tuple_

from shop_api.db.round_trips import written_out
from shop_api.db.tenancy import TenantSession

# What a query says of the page alone; all else is a filter, and makes another list.
PAGING = frozenset(
    {"limit", "first", "last", "after", "before", "offset", "order", "sort", "include_total"}
)


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
    position = page.before or page.after
    bound = (position.value, position.id) if position is not None else None
    query = _ordered(query, id_column, page, bound).limit(page.limit + 1)
    if page.offset:
        query = query.offset(page.offset)
    return _page(list(session.execute(query)), page, lambda row: Position(row[0], row[1]))


class PlainList:
    """A list without filters, whose statements are built once: to build and to read one through
    SQLAlchemy takes half of an answer's time.

    `query` makes the list sorted so. Its columns are the sort value, the id and the row's JSON; its
    tenant is the parameter `tenant_id`.
    """

    def __init__(
        self, query: Callable[[Sort], Select[Any]], id_column: ColumnElement[UUID]
    ) -> None:
        self._query = query
        self._id_column = id_column
        self._texts: dict[tuple[str, bool, bool], str] = {}

    def fetch(self, session: TenantSession, page: PageRequest) -> KeysetPage:
        """As `fetch_page`."""
        position = page.before or page.after
        parameters = {"tenant_id": session.tenant_id, "row_limit": page.limit + 1}
        if position is not None:
            parameters |= {"position_value": position.value, "position_id": position.id}
        rows = session.fetch(self._text(page, has_position=position is not None), parameters)
        parse = page.sort.parse
        return _page(rows, page, lambda row: Position(parse(row[0]), UUID(row[1])))

    def _text(self, page: PageRequest, *, has_position: bool) -> str:
        key = (page.sort.name, _runs_down(page), has_position)
        text = self._texts.get(key)
        if text is None:
            bound = _POSITION if has_position else None
            query = _ordered(self._query(page.sort), self._id_column, page, bound)
            value, row_id, body = query.selected_columns
            # parsed where they are needed: for two rows of a page
            query = query.with_only_columns(cast(value, Text), cast(row_id, Text), body)
            query = query.limit(bindparam("row_limit", type_=Integer))
            text = self._texts[key] = written_out(query)
        return text


_POSITION: tuple[Any, Any] = (bindparam("position_value"), bindparam("position_id"))


def _runs_down(page: PageRequest) -> bool:
    """Whether rows are read from the greatest value to the least."""
    return page.is_descending != _is_backward(page)


def _is_backward(page: PageRequest) -> bool:
    return page.before is not None or page.from_end


def _ordered(
    query: Select[Any],
    id_column: ColumnElement[UUID],
    page: PageRequest,
    bound: tuple[Any, Any] | None,
) -> Select[Any]:
    """The query in the page's order, from the position with these values on."""
    sort, runs_down = page.sort.column, _runs_down(page)
    if bound is not None:
        key, end = tuple_(sort, id_column), tuple_(*bound)
        query = query.where(key < end if runs_down else key > end)
    order = (sort.desc(), id_column.desc()) if runs_down else (sort.asc(), id_column.asc())
    return query.order_by(*order)


def _page(rows: list[Any], page: PageRequest, place: Callable[[Any], Position]) -> KeysetPage:
    """The page of `limit + 1` rows as they were read; `place` tells where a row stands."""
    is_backward = _is_backward(page)
    has_position = page.before is not None or page.after is not None
    has_more = len(rows) > page.limit
    rows = rows[: page.limit]
    if is_backward:
        rows.reverse()
    return KeysetPage(
        rows=rows,
        start=place(rows[0]) if rows else None,
        end=place(rows[-1]) if rows else None,
        has_next=has_position if is_backward else has_more,
        has_previous=has_more if is_backward else page.after is not None,
    )
