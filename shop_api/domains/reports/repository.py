"""SQL of reports."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, literal_column, select

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.models import report_files, reports

r = reports.alias("r")

REPORT_JSON = """
(SELECT row_to_json(j)::text FROM (SELECT r.id, r.kind, r.title,
    json_build_object('from', r.period_from, 'to', r.period_to) AS period, r.snapshot,
    json_instant(r.as_of) AS as_of, json_instant(r.created_at) AS created_at,
    (SELECT coalesce(json_agg(json_build_object(
            'format', f.format, 'size_bytes', length(f.content),
            'url', '/api/v1/reports/' || r.id || '/files/' || f.format) ORDER BY f.format), '[]')
        FROM report_files f WHERE f.tenant_id = r.tenant_id AND f.report_id = r.id) AS files) j)
"""

REPORT_SORTS = {
    "period_from": Sort("period_from", r.c.period_from, date.isoformat, date.fromisoformat),
}


class ReportRepository(Repository):
    """Reports of one tenant."""

    def list_page(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of reports."""
        query = select(page.sort.column, r.c.id, literal_column(REPORT_JSON))
        return fetch_page(self.session, self._filtered(query, filters), r.c.id, page)

    def count(self, filters: dict[str, Any]) -> int:
        """How many reports the filters leave."""
        query = self._filtered(select(func.count()).select_from(r), filters)
        return self.session.execute(query).scalar_one()

    def _filtered(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(r.c.tenant_id == self.tenant_id)
        if "kind" in filters:
            query = query.where(r.c.kind == filters["kind"])
        return query

    def find(self, report_id: UUID) -> Row[Any] | None:
        """A report's resource row; reports never change, so the version is 0."""
        query = select(
            r.c.id, literal_column("0").label("version"), literal_column(REPORT_JSON).label("body")
        ).where(r.c.tenant_id == self.tenant_id, r.c.id == report_id)
        return self.session.execute(query).first()

    def find_file(self, report_id: UUID, form: str) -> Row[Any] | None:
        """A report's rendered file, with what its download is called after."""
        f = report_files.alias("f")
        query = (
            select(f.c.content, r.c.kind, r.c.period_from)
            .join(r, (r.c.tenant_id == f.c.tenant_id) & (r.c.id == f.c.report_id))
            .where(f.c.tenant_id == self.tenant_id, f.c.report_id == report_id, f.c.format == form)
        )
        return self.session.execute(query).first()
