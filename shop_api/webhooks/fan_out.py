"""Fan-out: from an event to a delivery for each endpoint that is to get it, once.

Belongs here: reading the spine for endpoints, and making deliveries. Does not: sending them
(sender.py).

One reader leads among all workers. A successor, or one that lost Postgres, makes some deliveries a
second time, and finds them there: an event is delivered to an endpoint by one row. An endpoint is
made under the lock of its tenant's event counter, so whatever is recorded after it is committed
after it, and finds it here.
"""

from collections.abc import Callable
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from shop_api.db.json import encode_json
from shop_api.db.tenancy import Repository, tenant_session
from shop_api.kernel.ids import new_id
from shop_api.metrics.definitions import webhook_caught_up
from shop_api.spine.reader import Rows, SpineReader
from shop_api.webhooks.events import EVENT_TYPES, TEST_EVENT, is_sent
from shop_api.webhooks.schedule import LIFETIME

NAME = "webhooks"
CHANNEL = "webhooks"
COLUMNS = "tenant_id, sequence, type, subject_type, subject_id, data->>'delivery_id'"
SENT = frozenset({*EVENT_TYPES, TEST_EVENT})

WITH_ENDPOINTS = """
SELECT DISTINCT tenant_id FROM webhook_endpoints
WHERE tenant_id = ANY(%s) AND status <> 'deleted'
"""

# Locked, so that none is deleted before its deliveries are there.
FIND_ENDPOINTS = """
SELECT id, event_types, scopes, after_sequence FROM webhook_endpoints
WHERE tenant_id = %(tenant_id)s AND status <> 'deleted' FOR KEY SHARE
"""

# Who sends is told which endpoints have something, at the commit.
ADD = f"""
WITH added AS (
    INSERT INTO webhook_deliveries (tenant_id, id, endpoint_id, sequence, event_type, subject,
        next_attempt_at, expires_at, created_at)
    SELECT %(tenant_id)s, d.id, d.endpoint_id, d.sequence, d.event_type, d.subject,
        %(now)s, %(expires_at)s, %(now)s
    FROM json_to_recordset(%(deliveries)s::json) AS d
        (id uuid, endpoint_id uuid, sequence bigint, event_type text, subject text)
    ON CONFLICT DO NOTHING RETURNING endpoint_id
)
SELECT pg_notify('{CHANNEL}', %(tenant_id)s::text || ' ' || endpoint_id)
FROM (SELECT DISTINCT endpoint_id FROM added) found
"""


class FanOutRepository(Repository):
    """Endpoints as events are dealt out to them, and the deliveries that makes."""

    def add_deliveries(self, events: Rows, now: datetime) -> int:
        """Make a delivery of each event for each endpoint that is to get it; for how many."""
        tenant = {"tenant_id": self.tenant_id}
        endpoints = self.session.fetch(FIND_ENDPOINTS, tenant)
        deliveries = [
            delivery
            for event in events
            for endpoint in endpoints
            if (delivery := _delivery(event, endpoint, now)) is not None
        ]
        if not deliveries:
            return 0
        values = {"now": now, "expires_at": now + LIFETIME, "deliveries": encode_json(deliveries)}
        return len(self.session.fetch(ADD, tenant | values))


def _delivery(event: tuple[Any, ...], endpoint: Any, now: datetime) -> dict[str, Any] | None:
    _, sequence, type_, subject_type, subject_id, delivery_id = event
    if type_ == TEST_EVENT:
        if subject_id != endpoint.id:
            return None
    elif sequence <= endpoint.after_sequence or not is_sent(
        type_, endpoint.event_types, endpoint.scopes
    ):
        return None
    return {
        "id": delivery_id or new_id(now),
        "endpoint_id": endpoint.id,
        "sequence": sequence,
        "event_type": type_,
        "subject": f"{subject_type}:{subject_id or ''}",
    }


class FanOut:
    """Makes deliveries while it leads, otherwise stands by."""

    def __init__(
        self,
        url: str,
        engine: Engine,
        exporter_engine: Engine,
        *,
        retention_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._exporter_engine = exporter_engine
        self._clock = clock
        self._reader = SpineReader(
            url,
            NAME,
            COLUMNS,
            self._take,
            outages=(DBAPIError,),
            # older deliveries are deleted, so their events are not to be read again
            retention_seconds=retention_seconds,
            clock=clock,
            on_caught_up=lambda now: webhook_caught_up.set(now.timestamp()),
        )

    @property
    def is_leading(self) -> bool:
        """Whether this one reads, of all of them."""
        return self._reader.is_leading

    def run(self) -> None:
        """Follow the spine until stopped."""
        self._reader.run()

    def stop(self) -> None:
        """Ask `run` to return; it does within a polling interval."""
        self._reader.stop()

    def _take(self, rows: Rows, _position: int) -> None:
        wanted = [row for row in rows if row[2] in SENT]
        tenant_ids = self._with_endpoints({row[0] for row in wanted})
        for tenant_id, events in groupby(wanted, lambda row: row[0]):
            if tenant_id in tenant_ids:
                with tenant_session(self._engine, tenant_id) as session:
                    FanOutRepository(session).add_deliveries(list(events), self._clock())

    def _with_endpoints(self, tenant_ids: set[UUID]) -> set[UUID]:
        if not tenant_ids:
            return set()
        with self._exporter_engine.connect() as connection:
            found = connection.exec_driver_sql(WITH_ENDPOINTS, (list(tenant_ids),))
            return set(found.scalars())
