"""SQL of jobs, their files and their refused rows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, delete, func, insert, literal_column, select, update

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.known_values import known_list
from shop_api.db.tenancy import Repository
from shop_api.kernel.clock import format_instant
from shop_api.models import job_files, job_rejects, jobs

j = jobs.alias("j")
x = job_rejects.alias("x")

JOB_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT j.id, j.kind, j.state, j.params->>'mapping' AS mapping,
    j.progress_ratio, j.counts,
    (SELECT coalesce(sum((c.value->>'rejected')::bigint), 0) FROM jsonb_each(j.counts) c)
        AS rejected_count,
    (SELECT coalesce(max(x.position), 0) FROM job_rejects x
        WHERE x.tenant_id = j.tenant_id AND x.job_id = j.id) AS error_count,
    '/api/v1/jobs/' || j.id || '/errors' AS errors_url,
    j.error, j.is_cancel_requested, json_instant(j.started_at) AS started_at,
    json_instant(j.finished_at) AS finished_at, json_instant(j.created_at) AS created_at,
    json_instant(j.updated_at) AS updated_at) r)
"""

JOB_SORTS = {
    "created_at": Sort("created_at", j.c.created_at, format_instant, datetime.fromisoformat)
}

# the positions of a job's rejects are 1, 2, 3, …; the job's id beside them is the same in all
REJECT_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT x.position, x.file, x.row, x."column", x.reason) r)
"""
REJECTS_BY_POSITION = Sort("position", x.c.position, str, int)


class JobRepository(Repository):
    """Jobs of one tenant."""

    def list_page(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of jobs."""
        query = select(page.sort.column, j.c.id, literal_column(JOB_JSON))
        return fetch_page(self.session, self._filtered(query, filters), j.c.id, page)

    def count(self, filters: dict[str, Any]) -> int:
        """How many jobs the filters leave."""
        query = self._filtered(select(func.count()).select_from(j), filters)
        return self.session.execute(query).scalar_one()

    def _filtered(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(j.c.tenant_id == self.tenant_id)
        if "state" in filters:
            query = query.where(j.c.state.in_(known_list(filters["state"])))
        return query

    def find(self, job_id: UUID, *, for_update: bool = False) -> Row[Any] | None:
        """A job's resource row."""
        query = select(
            j.c.id, j.c.version, j.c.state, j.c.counts, literal_column(JOB_JSON).label("body")
        ).where(j.c.tenant_id == self.tenant_id, j.c.id == job_id)
        return self.session.execute(query.with_for_update() if for_update else query).first()

    def change(self, job_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows."""
        self.session.execute(
            update(jobs)
            .where(jobs.c.tenant_id == self.tenant_id, jobs.c.id == job_id)
            .values(version=jobs.c.version + 1, **values)
        )

    def add_file(self, job_id: UUID, name: str, content: bytes) -> None:
        """Keep an input file with its job."""
        self.session.execute(
            insert(job_files).values(
                tenant_id=self.tenant_id, job_id=job_id, name=name, content=content
            )
        )

    def delete_files(self, job_id: UUID) -> None:
        """Drop what nobody will read any more."""
        self.session.execute(
            delete(job_files).where(
                job_files.c.tenant_id == self.tenant_id, job_files.c.job_id == job_id
            )
        )

    def file_names(self, job_id: UUID) -> list[str]:
        """The names of a job's input files."""
        query = (
            select(job_files.c.name)
            .where(job_files.c.tenant_id == self.tenant_id, job_files.c.job_id == job_id)
            .order_by(job_files.c.name)
        )
        return list(self.session.execute(query).scalars())

    def file_content(self, job_id: UUID, name: str) -> bytes:
        """One input file of a job."""
        query = select(job_files.c.content).where(
            job_files.c.tenant_id == self.tenant_id,
            job_files.c.job_id == job_id,
            job_files.c.name == name,
        )
        return bytes(self.session.execute(query).scalar_one())

    def list_rejects(self, job_id: UUID, page: PageRequest) -> KeysetPage:
        """A page of what a job refused."""
        query = select(page.sort.column, x.c.job_id, literal_column(REJECT_JSON)).where(
            x.c.tenant_id == self.tenant_id, x.c.job_id == job_id
        )
        return fetch_page(self.session, query, x.c.job_id, page)

    def count_rejects(self, job_id: UUID) -> int:
        """How many of them are listed."""
        query = select(func.count()).where(x.c.tenant_id == self.tenant_id, x.c.job_id == job_id)
        return self.session.execute(query).scalar_one()

    def list_rejects_after(self, job_id: UUID, position: int, limit: int) -> list[Row[Any]]:
        """The next of them: position, file, row, column, reason and all of it as JSON."""
        query = (
            select(
                x.c.position,
                x.c.file,
                x.c.row,
                x.c.column,
                x.c.reason,
                literal_column(REJECT_JSON).label("body"),
            )
            .where(x.c.tenant_id == self.tenant_id, x.c.job_id == job_id, x.c.position > position)
            .order_by(x.c.position)
            .limit(limit)
        )
        return list(self.session.execute(query))
