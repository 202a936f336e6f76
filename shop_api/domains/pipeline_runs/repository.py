"""SQL of runs, and of how fresh the lake is.

Runs and snapshots are the platform's. Of a run a tenant is shown its own share.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, literal_column, select

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository, TenantSession
from shop_api.kernel.clock import format_instant
from shop_api.models import lake_quarantine, lake_snapshots, pipeline_run_shares, pipeline_runs

r = pipeline_runs.alias("r")
s = pipeline_run_shares.alias("s")

# What a tenant may know of a run: its counts are of the tenant's share alone.
SHARE_JSON = """
(SELECT row_to_json(j)::text FROM (SELECT r.id, r.name, s.state,
    json_instant(r.started_at) AS started_at, json_instant(r.finished_at) AS finished_at,
    round(r.duration_microseconds / 1e6::numeric, 6) AS duration_seconds,
    round(r.lag_microseconds / 1e6::numeric, 6) AS lag_seconds,
    s.rows_written, s.bytes_written, s.files_written) j)
"""
RUN_JSON = """
(SELECT row_to_json(j)::text FROM (SELECT r.id, r.name, r.state, r.attempt,
    json_instant(r.started_at) AS started_at, json_instant(r.finished_at) AS finished_at,
    round(r.duration_microseconds / 1e6::numeric, 6) AS duration_seconds,
    round(r.lag_microseconds / 1e6::numeric, 6) AS lag_seconds,
    r.rows_written, r.bytes_written, r.files_written, r.counts, r.error) j)
"""

SHARES_BY_START = Sort("started_at", s.c.started_at, format_instant, datetime.fromisoformat)
RUNS_BY_START = Sort("started_at", r.c.started_at, format_instant, datetime.fromisoformat)


class ShareRepository(Repository):
    """What runs did of one tenant, and whether its data is held back."""

    def list_page(self, page: PageRequest) -> KeysetPage:
        """A page of runs in which the tenant has a share."""
        query = (
            select(page.sort.column, s.c.run_id, literal_column(SHARE_JSON))
            .join_from(s, r, r.c.id == s.c.run_id)
            .where(s.c.tenant_id == self.tenant_id)
        )
        return fetch_page(self.session, query, s.c.run_id, page)

    def count(self) -> int:
        """How many runs there are of it."""
        query = select(func.count()).select_from(s).where(s.c.tenant_id == self.tenant_id)
        return self.session.execute(query).scalar_one()

    def find_hold(self) -> Row[Any] | None:
        """Why the tenant's data is held back and since when; None while it is not."""
        held = select(lake_quarantine).where(lake_quarantine.c.tenant_id == self.tenant_id)
        return self.session.execute(held).one_or_none()


class RunDirectory:
    """All runs and what was published last: the platform's, and no tenant's."""

    def __init__(self, session: TenantSession) -> None:
        self.session = session

    def list_page(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of runs."""
        query = select(page.sort.column, r.c.id, literal_column(RUN_JSON))
        return fetch_page(self.session, self._filtered(query, filters), r.c.id, page)

    def count(self, filters: dict[str, Any]) -> int:
        """How many runs the filters leave."""
        query = self._filtered(select(func.count()).select_from(r), filters)
        return self.session.execute(query).scalar_one()

    def find_as_of(self) -> datetime | None:
        """The instant up to which the newest snapshot holds all; None before the first."""
        newest = select(lake_snapshots.c.as_of).order_by(lake_snapshots.c.id.desc()).limit(1)
        return self.session.execute(newest).scalar()

    def _filtered(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        for name in ("name", "state"):
            if name in filters:
                query = query.where(r.c[name] == filters[name])
        return query
