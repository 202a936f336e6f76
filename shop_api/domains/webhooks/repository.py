"""SQL of webhook endpoints."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, insert, literal_column, select, update

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.db.types import AnyRow
from shop_api.kernel.clock import format_instant
from shop_api.models import tenant_counters, webhook_endpoints

w = webhook_endpoints.alias("w")

KNOWN = ["id", "version", "event_types", "scopes", "status", "secret"]

# The row as clients see it: never a secret.
ENDPOINT_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT w.id, w.url, w.description, w.event_types, w.scopes,
    w.status, w.pause_reason, json_instant(w.paused_at) AS paused_at,
    json_instant(w.previous_secret_expires_at) AS previous_secret_expires_at,
    json_instant(w.created_at) AS created_at, json_instant(w.updated_at) AS updated_at) r)
"""

ENDPOINTS_BY_CREATED_AT = Sort("created_at", w.c.created_at, format_instant, datetime.fromisoformat)


class EndpointRepository(Repository):
    """Webhook endpoints of one tenant."""

    def lock_events(self) -> int:
        """The number of the newest event; the next is recorded after this transaction."""
        counter = tenant_counters.c
        query = (
            select(counter.value)
            .where(counter.tenant_id == self.tenant_id, counter.name == "event")
            .with_for_update()
        )
        return self.session.execute(query).scalar_one()

    def add(self, values: dict[str, Any]) -> AnyRow:
        """Insert an endpoint; its resource row."""
        self.session.execute(insert(webhook_endpoints).values(tenant_id=self.tenant_id, **values))
        return self.present(values["id"])

    def find(self, endpoint_id: UUID, *, for_update: bool = False) -> AnyRow | None:
        """An endpoint as clients see it, with what a change needs to know of it."""
        columns = (w.c[name] for name in KNOWN)
        query = self._own(select(*columns, literal_column(ENDPOINT_JSON).label("body")))
        query = query.where(w.c.id == endpoint_id)
        return self.session.execute(query.with_for_update() if for_update else query).first()

    def present(self, endpoint_id: UUID) -> AnyRow:
        """One that was just written."""
        row = self.find(endpoint_id)
        if row is None:
            raise LookupError(f"webhook endpoint {endpoint_id} vanished within its transaction")
        return row

    def change(self, endpoint_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows."""
        columns = webhook_endpoints.c
        self.session.execute(
            update(webhook_endpoints)
            .where(columns.tenant_id == self.tenant_id, columns.id == endpoint_id)
            .values(version=columns.version + 1, **values)
        )

    def count(self) -> int:
        """How many endpoints there are."""
        query = self._own(select(func.count()).select_from(w))
        return self.session.execute(query).scalar_one()

    def list_page(self, page: PageRequest) -> KeysetPage:
        """A page of endpoints."""
        query = self._own(select(w.c.created_at, w.c.id, literal_column(ENDPOINT_JSON)))
        return fetch_page(self.session, query, w.c.id, page)

    def _own(self, query: Select[Any]) -> Select[Any]:
        # written out: for an unknown status Postgres would expect as many rows as there are of none
        return query.where(
            w.c.tenant_id == self.tenant_id, w.c.status != literal_column("'deleted'")
        )
