"""The lake as the worker's jobs read it: an engine, the newest snapshot, and questions to it.

Belongs here: asking analytics on a tenant's behalf. Does not: what is done with the figures
(metric_push.py, report_jobs.py), nor writing the lake.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import select

from analytics.access import access_of
from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot
from pipelines.sinks.publication import Published, newest
from shop_api.kernel.money import currency_digits
from shop_api.models import lake_quarantine, tenants
from shop_api.spine.jobs import WorkerContext


@dataclass(frozen=True, slots=True)
class Shop:
    """What of a tenant its figures depend on."""

    id: UUID
    name: str
    currency: str
    timezone: str


class Figures:
    """Figures of any tenant, of the newest snapshot."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._access = access_of(context.settings)
        self.lake = Lake(self._access.store())

    @cached_property
    def engine(self) -> Engine:
        """Opened with the first question: a worker that asks none pays nothing."""
        settings = self._context.settings
        return Engine(
            self.lake.store,
            mirror=self._access.mirror(self.lake.store),
            memory_limit=settings.duckdb_memory,
            threads=settings.duckdb_threads,
            observe=self._context.observe_query,
        )

    def snapshot(self) -> Snapshot | None:
        """The newest published snapshot."""
        with self._context.exporter_engine.connect() as connection:
            published = newest(connection)
        return _snapshot(published)

    def snapshot_with_holds(self) -> tuple[Snapshot | None, dict[UUID, datetime | None]]:
        """The newest, and of when the figures of shops that are held back from it are.

        Both of one instant: a hold begins and ends with a snapshot.
        """
        columns = lake_quarantine.c
        with self._context.exporter_engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ")
            published = newest(connection)
            held = connection.execute(select(columns.tenant_id, columns.as_of)).all()
        return _snapshot(published), {row.tenant_id: row.as_of for row in held}

    def shops(self, tenant_ids: Iterable[UUID]) -> list[Shop]:
        """The tenants of these ids that exist."""
        columns = tenants.c
        query = select(columns.id, columns.name, columns.currency, columns.timezone).where(
            columns.id.in_(list(tenant_ids))
        )
        with self._context.exporter_engine.connect() as connection:
            return [Shop(*row) for row in connection.execute(query)]

    def request(
        self, shop: Shop, snapshot: Snapshot, now: datetime, **changes: Any
    ) -> AnalyticsRequest:
        """A question about a shop."""
        return AnalyticsRequest(
            tenant_id=str(shop.id),
            snapshot=snapshot,
            timezone=shop.timezone,
            currency=shop.currency,
            currency_digits=currency_digits(shop.currency),
            now=now,
            **changes,
        )


def _snapshot(published: Published | None) -> Snapshot | None:
    if published is None:
        return None
    return Snapshot(published.id, published.position.as_of, published.versions)
