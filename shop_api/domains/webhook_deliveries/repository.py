"""SQL of webhook deliveries as they are read and begun anew."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, literal_column, select

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.round_trips import Statement
from shop_api.db.tenancy import Repository
from shop_api.db.types import AnyRow
from shop_api.kernel.clock import format_instant
from shop_api.models import webhook_deliveries
from shop_api.realtime.messages import EMAIL_SCOPE
from shop_api.webhooks.events import message_sql

d = webhook_deliveries.alias("d")

FIELDS = """
    d.id, 'msg_' || replace(d.id::text, '-', '') AS message_id, d.endpoint_id,
    d.sequence AS event_id, d.event_type, d.state, d.attempt_count, d.last_status,
    json_instant(d.next_attempt_at) AS next_attempt_at, json_instant(d.expires_at) AS expires_at,
    json_instant(d.finished_at) AS finished_at, json_instant(d.created_at) AS created_at
"""
DELIVERY_JSON = f"(SELECT row_to_json(r)::text FROM (SELECT {FIELDS}) r)"

DELIVERIES_BY_CREATED_AT = Sort(
    "created_at", d.c.created_at, format_instant, datetime.fromisoformat
)

BOTH = "ARRAY(SELECT unnest(w.scopes) INTERSECT SELECT unnest(%(scopes)s::text[]))"

# An answer may repeat the message it answers, as it was when it was sent.
ANSWER_SHOWN = (
    "(d.event_type = ANY(%(types)s::text[]) AND (d.event_type <> 'order_created'"
    f" OR '{EMAIL_SCOPE}' = ANY(%(scopes)s::text[])))"
)

# The message as it would be sent to the endpoint now, as far as the reader may see it.
DETAIL = f"""
SELECT d.version, (SELECT row_to_json(r)::text FROM (SELECT {FIELDS},
    CASE WHEN d.event_type = ANY(%(types)s::text[]) THEN {message_sql(BOTH)} END AS request_body,
    (SELECT coalesce(json_agg(a ORDER BY a.number), '[]'::json) FROM (
        SELECT number, json_instant(started_at) AS started_at, duration_microseconds, outcome,
            request_headers, status,
            CASE WHEN {ANSWER_SHOWN} THEN response_headers END AS response_headers,
            CASE WHEN {ANSWER_SHOWN} THEN response_body END AS response_body, error
        FROM webhook_attempts a
        WHERE a.tenant_id = d.tenant_id AND a.delivery_id = d.id) a) AS attempts
) r) AS body
FROM webhook_deliveries d
JOIN webhook_endpoints w ON w.tenant_id = d.tenant_id AND w.id = d.endpoint_id
JOIN events e ON e.tenant_id = d.tenant_id AND e.sequence = d.sequence
WHERE d.tenant_id = %(tenant_id)s AND d.id = %(delivery_id)s
"""

AGAIN = """
UPDATE webhook_deliveries d SET state = 'pending', tried_count = 0, next_attempt_at = %(now)s,
    expires_at = %(expires_at)s, finished_at = NULL, version = version + 1
"""
ONE_AGAIN = f"{AGAIN} WHERE d.tenant_id = %(tenant_id)s AND d.id = %(delivery_id)s"

RANGE_AGAIN = f"""
WITH chosen AS (
    SELECT id FROM webhook_deliveries
    WHERE tenant_id = %(tenant_id)s AND endpoint_id = %(endpoint_id)s
      AND created_at >= %(from)s AND created_at < %(to)s AND state = ANY(%(states)s::text[])
    ORDER BY created_at, id LIMIT %(limit)s + 1 FOR UPDATE
), begun AS (
    {AGAIN}
    WHERE d.tenant_id = %(tenant_id)s
      AND d.id IN (SELECT id FROM (SELECT id FROM chosen ORDER BY id LIMIT %(limit)s) c)
    RETURNING 1
)
SELECT (SELECT count(*) FROM begun) AS count,
    (SELECT count(*) FROM chosen) > %(limit)s AS has_more
"""


class DeliveryRepository(Repository):
    """Webhook deliveries of one tenant."""

    def list_page(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of deliveries."""
        query = select(page.sort.column, d.c.id, literal_column(DELIVERY_JSON))
        return fetch_page(self.session, self._filtered(query, filters), d.c.id, page)

    def count(self, filters: dict[str, Any]) -> int:
        """How many deliveries the filters leave."""
        query = self._filtered(select(func.count()).select_from(d), filters)
        return self.session.execute(query).scalar_one()

    def _filtered(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(d.c.tenant_id == self.tenant_id)
        for name in ("endpoint_id", "state", "event_type"):
            if name in filters:
                query = query.where(d.c[name] == filters[name])
        if "created_after" in filters:
            query = query.where(d.c.created_at >= filters["created_after"])
        if "created_before" in filters:
            query = query.where(d.c.created_at < filters["created_before"])
        return query

    def find_detail(self, delivery_id: UUID, types: list[str], scopes: list[str]) -> AnyRow | None:
        """A delivery with its attempts; its message for who may see events of these types."""
        values = {
            "tenant_id": self.tenant_id,
            "delivery_id": delivery_id,
            "types": types,
            "scopes": scopes,
        }
        rows = self.session.fetch(DETAIL, values)
        return rows[0] if rows else None

    def find(self, delivery_id: UUID, *, for_update: bool = False) -> AnyRow | None:
        """A delivery's resource row, with what a change needs to know of it."""
        query = select(
            d.c.id,
            d.c.version,
            d.c.endpoint_id,
            d.c.event_type,
            literal_column(DELIVERY_JSON).label("body"),
        ).where(d.c.tenant_id == self.tenant_id, d.c.id == delivery_id)
        return self.session.execute(query.with_for_update(of=d) if for_update else query).first()

    def begin_again(self, delivery_id: UUID, now: datetime, expires_at: datetime) -> None:
        """Have one sent anew."""
        values = {"now": now, "expires_at": expires_at, "delivery_id": delivery_id}
        self.session.fetch_together(Statement(ONE_AGAIN, values | {"tenant_id": self.tenant_id}))

    def begin_range_again(
        self,
        endpoint_id: UUID,
        bounds: tuple[datetime, datetime],
        states: list[str],
        now: datetime,
        expires_at: datetime,
        limit: int,
    ) -> AnyRow:
        """Have the oldest of a range sent anew: how many, and whether there are more."""
        values = {
            "tenant_id": self.tenant_id,
            "endpoint_id": endpoint_id,
            "from": bounds[0],
            "to": bounds[1],
            "states": states,
            "now": now,
            "expires_at": expires_at,
            "limit": limit,
        }
        (row,) = self.session.fetch(RANGE_AGAIN, values)
        found: AnyRow = row
        return found
