"""SQL of notifications as they are read and marked; they are written by spine/notifications.py."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, literal_column, select, update

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.kernel.clock import format_instant
from shop_api.models import notifications

n = notifications.alias("n")

NOTIFICATION_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT n.id, n.kind, n.level, n.title, n.message, n.action_url,
    n.data, json_instant(n.created_at) AS created_at, json_instant(n.read_at) AS read_at,
    json_instant(n.resolved_at) AS resolved_at) r)
"""

NOTIFICATION_SORTS = {
    "created_at": Sort("created_at", n.c.created_at, format_instant, datetime.fromisoformat)
}


class NotificationRepository(Repository):
    """Notifications of one tenant."""

    def list_page(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of notifications."""
        query = select(page.sort.column, n.c.id, literal_column(NOTIFICATION_JSON))
        return fetch_page(self.session, self._filtered(query, filters), n.c.id, page)

    def count(self, filters: dict[str, Any]) -> int:
        """How many notifications the filters leave."""
        query = self._filtered(select(func.count()).select_from(n), filters)
        return self.session.execute(query).scalar_one()

    def _filtered(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(n.c.tenant_id == self.tenant_id)
        if "is_read" in filters:
            is_unread = n.c.read_at.is_(None)
            query = query.where(~is_unread if filters["is_read"] else is_unread)
        for name in ("kind", "level"):
            if name in filters:
                query = query.where(n.c[name] == filters[name])
        return query

    def find(self, notification_id: UUID, *, for_update: bool = False) -> Row[Any] | None:
        """A notification's resource row."""
        query = select(
            n.c.id, n.c.version, n.c.read_at, literal_column(NOTIFICATION_JSON).label("body")
        ).where(n.c.tenant_id == self.tenant_id, n.c.id == notification_id)
        return self.session.execute(query.with_for_update(of=n) if for_update else query).first()

    def mark(self, notification_id: UUID, now: datetime) -> None:
        """Set one as read; the version grows."""
        own = (notifications.c.tenant_id, notifications.c.id)
        self.session.execute(
            update(notifications)
            .where(own[0] == self.tenant_id, own[1] == notification_id)
            .values(read_at=now, version=notifications.c.version + 1)
        )

    def mark_all(self, now: datetime) -> int:
        """Set all that are not read as read; how many there were."""
        columns = notifications.c
        marked = self.session.execute(
            update(notifications)
            .where(columns.tenant_id == self.tenant_id, columns.read_at.is_(None))
            .values(read_at=now, version=columns.version + 1)
        )
        return marked.rowcount  # type: ignore[attr-defined]
