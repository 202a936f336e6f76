"""SQL of the audit log; rows are written by the unit of work and never changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, literal_column, select

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.known_values import known
from shop_api.db.tenancy import Repository
from shop_api.kernel.clock import format_instant
from shop_api.models import audit_entries

a = audit_entries.alias("a")

ENTRY_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT a.id, a.action, a.subject_type, a.subject_id, a.actor,
    a.request_id, a.changes->'before' AS before, a.changes->'after' AS after,
    json_instant(a.created_at) AS created_at) r)
"""

ENTRY_SORTS = {
    "created_at": Sort("created_at", a.c.created_at, format_instant, datetime.fromisoformat)
}
EQUAL = ("subject_type", "subject_id", "actor", "action", "request_id")


class AuditRepository(Repository):
    """The audit log of one tenant."""

    def list_page(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of entries."""
        query = select(page.sort.column, a.c.id, literal_column(ENTRY_JSON))
        return fetch_page(self.session, self._filtered(query, filters), a.c.id, page)

    def count(self, filters: dict[str, Any]) -> int:
        """How many entries the filters leave."""
        query = self._filtered(select(func.count()).select_from(a), filters)
        return self.session.execute(query).scalar_one()

    def find(self, entry_id: UUID) -> Row[Any] | None:
        """An entry's resource row; it is never changed, so it stays at its first version."""
        query = select(
            a.c.id, literal_column("1").label("version"), literal_column(ENTRY_JSON).label("body")
        )
        return self.session.execute(
            query.where(a.c.tenant_id == self.tenant_id, a.c.id == entry_id)
        ).first()

    def _filtered(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(a.c.tenant_id == self.tenant_id)
        for name in EQUAL:
            if name in filters:
                query = query.where(a.c[name] == filters[name])
        if "created_after" in filters:
            query = query.where(a.c.created_at > known(filters["created_after"]))
        if "created_before" in filters:
            query = query.where(a.c.created_at < known(filters["created_before"]))
        return query
