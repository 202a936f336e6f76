"""SQL of sessions, and of the orders at them as far as closing needs it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, insert, literal_column, select, update

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.kernel.clock import format_instant
from shop_api.models import orders, sessions

x = sessions.alias("x")

# What its orders come to: one row of sums over the index of orders by session.
SESSION_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT x.id, x.kind, x.name, x.location_id, x.channel, x.note,
    (x.closed_at IS NULL) AS is_open, t.order_count, x.currency,
    json_money(t.total, x.currency) AS total, json_money(t.paid_total, x.currency) AS paid_total,
    x.opened_by, json_instant(x.opened_at) AS opened_at, json_instant(x.closed_at) AS closed_at,
    json_instant(x.created_at) AS created_at, json_instant(x.updated_at) AS updated_at
    FROM (SELECT count(*) AS order_count, coalesce(sum(o.total), 0) AS total,
            coalesce(sum(o.paid_total), 0) AS paid_total
        FROM orders o WHERE o.tenant_id = x.tenant_id AND o.session_id = x.id
            AND o.status <> 'cancelled') t) r)
"""

SESSION_SORTS = {
    "opened_at": Sort("opened_at", x.c.opened_at, format_instant, datetime.fromisoformat)
}


class SessionRepository(Repository):
    """Sessions of one tenant."""

    def list_page(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of sessions."""
        query = select(page.sort.column, x.c.id, literal_column(SESSION_JSON))
        return fetch_page(self.session, self._filtered(query, filters), x.c.id, page)

    def count(self, filters: dict[str, Any]) -> int:
        """How many sessions the filters leave."""
        query = self._filtered(select(func.count()).select_from(x), filters)
        return self.session.execute(query).scalar_one()

    def _filtered(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(x.c.tenant_id == self.tenant_id)
        if "is_open" in filters:
            is_open = x.c.closed_at.is_(None)
            query = query.where(is_open if filters["is_open"] else ~is_open)
        for name in ("kind", "location_id"):
            if name in filters:
                query = query.where(x.c[name] == filters[name])
        return query

    def find(self, session_id: UUID, *, for_update: bool = False) -> Row[Any] | None:
        """A session's resource row."""
        query = select(
            x.c.id, x.c.version, x.c.closed_at, literal_column(SESSION_JSON).label("body")
        ).where(x.c.tenant_id == self.tenant_id, x.c.id == session_id)
        return self.session.execute(query.with_for_update(of=x) if for_update else query).first()

    def find_for_order(self, session_id: UUID) -> Row[Any] | None:
        """What an order needs to know of its session, which stays open until the commit."""
        query = select(x.c.channel, x.c.closed_at).where(
            x.c.tenant_id == self.tenant_id, x.c.id == session_id
        )
        return self.session.execute(query.with_for_update(read=True)).first()

    def list_unsettled(self, session_id: UUID) -> list[Row[Any]]:
        """The orders at it that are neither paid nor cancelled, by number.

        A pending order is not paid, whatever was paid and given back of it.
        """
        query = (
            select(orders.c.id, orders.c.number, orders.c.status, orders.c.payment_status)
            .where(
                orders.c.tenant_id == self.tenant_id,
                orders.c.session_id == session_id,
                orders.c.status != "cancelled",
                (orders.c.status == "pending")
                | (orders.c.paid_total < orders.c.total + orders.c.owed_again_total),
            )
            .order_by(orders.c.number)
        )
        return list(self.session.execute(query))

    def add(self, values: dict[str, Any]) -> None:
        """Insert a session."""
        self.session.execute(insert(sessions).values(tenant_id=self.tenant_id, **values))

    def change(self, session_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows."""
        self.session.execute(
            update(sessions)
            .where(sessions.c.tenant_id == self.tenant_id, sessions.c.id == session_id)
            .values(version=sessions.c.version + 1, **values)
        )
