"""SQL of fulfilments and returns."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, literal_column, select

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.kernel.clock import format_instant
from shop_api.models import fulfillments, returns

f = fulfillments.alias("f")
b = returns.alias("b")

FULFILLMENT_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT f.id, f.order_id,
    (SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.line_id), '[]') FROM (
        SELECT l.order_line_id AS line_id, l.quantity FROM fulfillment_lines l
        WHERE l.tenant_id = f.tenant_id AND l.fulfillment_id = f.id) k) AS lines,
    f.carrier, f.tracking_number, f.tracking_url, json_instant(f.created_at) AS created_at) r)
"""
RETURN_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT b.id, b.order_id,
    (SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.line_id), '[]') FROM (
        SELECT l.order_line_id AS line_id, l.quantity, l.is_restocked FROM return_lines l
        WHERE l.tenant_id = b.tenant_id AND l.return_id = b.id) k) AS lines,
    b.reason, json_instant(b.created_at) AS created_at) r)
"""

FULFILLMENTS_BY_CREATED_AT = Sort(
    "created_at", f.c.created_at, format_instant, datetime.fromisoformat
)
RETURNS_BY_CREATED_AT = Sort("created_at", b.c.created_at, format_instant, datetime.fromisoformat)

ADD_FULFILLMENT = """
WITH w AS (
    SELECT * FROM json_to_recordset(%(lines)s::json) AS w (line_id uuid, quantity int)
), header AS (
    INSERT INTO fulfillments (tenant_id, id, order_id, carrier, tracking_number, tracking_url,
        created_at)
    VALUES (%(tenant_id)s, %(id)s, %(order_id)s, %(carrier)s, %(tracking_number)s,
        %(tracking_url)s, %(now)s)
), line AS (
    INSERT INTO fulfillment_lines (tenant_id, fulfillment_id, order_line_id, quantity)
    SELECT %(tenant_id)s, %(id)s, w.line_id, w.quantity FROM w
)
UPDATE order_lines l SET fulfilled_quantity = l.fulfilled_quantity + w.quantity
FROM w WHERE l.tenant_id = %(tenant_id)s AND l.id = w.line_id
"""
ADD_RETURN = """
WITH w AS (
    SELECT * FROM json_to_recordset(%(lines)s::json)
        AS w (line_id uuid, quantity int, is_restocked boolean)
), header AS (
    INSERT INTO returns (tenant_id, id, order_id, reason, created_at)
    VALUES (%(tenant_id)s, %(id)s, %(order_id)s, %(reason)s, %(now)s)
), line AS (
    INSERT INTO return_lines (tenant_id, return_id, order_line_id, quantity, is_restocked)
    SELECT %(tenant_id)s, %(id)s, w.line_id, w.quantity, w.is_restocked FROM w
)
UPDATE order_lines l SET returned_quantity = l.returned_quantity + w.quantity
FROM w WHERE l.tenant_id = %(tenant_id)s AND l.id = w.line_id
"""

# a location is deleted before or after, not meanwhile
LOCK_LOCATIONS = """
SELECT 1 FROM locations WHERE tenant_id = %(tenant_id)s
    AND (id = ANY(%(location_ids)s::uuid[]) OR is_default) ORDER BY id FOR KEY SHARE
"""
# Where units come back to: their shelf, or the default location's once theirs was deleted.
SHELVES = """
WITH shelf AS (
    SELECT w.variant_id, w.location_id, coalesce(a.id, d.id) AS present_id
    FROM unnest(%(variant_ids)s::uuid[], %(location_ids)s::uuid[]) AS w (variant_id, location_id)
    JOIN variants v ON v.tenant_id = %(tenant_id)s AND v.id = w.variant_id
    LEFT JOIN locations a ON a.tenant_id = %(tenant_id)s AND a.id = w.location_id
    JOIN locations d ON d.tenant_id = %(tenant_id)s AND d.is_default
), level AS (
    INSERT INTO stock_levels (tenant_id, variant_id, location_id, quantity, reserved, updated_at)
    SELECT DISTINCT %(tenant_id)s::uuid, variant_id, present_id, 0, 0, %(now)s::timestamptz
    FROM shelf ORDER BY variant_id, present_id
    ON CONFLICT DO NOTHING
)
SELECT variant_id, location_id, present_id FROM shelf
"""


class FulfillmentRepository(Repository):
    """Fulfilments and returns of one tenant."""

    def list_fulfillments(self, order_id: UUID, page: PageRequest) -> KeysetPage:
        """A page of an order's fulfilments."""
        query = select(page.sort.column, f.c.id, literal_column(FULFILLMENT_JSON)).where(
            f.c.tenant_id == self.tenant_id, f.c.order_id == order_id
        )
        return fetch_page(self.session, query, f.c.id, page)

    def count_fulfillments(self, order_id: UUID) -> int:
        """How many fulfilments an order has."""
        query = (
            select(func.count())
            .select_from(f)
            .where(f.c.tenant_id == self.tenant_id, f.c.order_id == order_id)
        )
        return self.session.execute(query).scalar_one()

    def get_fulfillment(self, fulfillment_id: UUID) -> Row[Any]:
        """A fulfilment's resource row."""
        query: Select[Any] = select(literal_column(FULFILLMENT_JSON).label("body")).where(
            f.c.tenant_id == self.tenant_id, f.c.id == fulfillment_id
        )
        return self.session.execute(query).one()

    def list_returns(self, order_id: UUID, page: PageRequest) -> KeysetPage:
        """A page of an order's returns."""
        query = select(page.sort.column, b.c.id, literal_column(RETURN_JSON)).where(
            b.c.tenant_id == self.tenant_id, b.c.order_id == order_id
        )
        return fetch_page(self.session, query, b.c.id, page)

    def count_returns(self, order_id: UUID) -> int:
        """How many returns an order has."""
        query = (
            select(func.count())
            .select_from(b)
            .where(b.c.tenant_id == self.tenant_id, b.c.order_id == order_id)
        )
        return self.session.execute(query).scalar_one()

    def get_return(self, return_id: UUID) -> Row[Any]:
        """A return's resource row."""
        query: Select[Any] = select(literal_column(RETURN_JSON).label("body")).where(
            b.c.tenant_id == self.tenant_id, b.c.id == return_id
        )
        return self.session.execute(query).one()

    def add_fulfillment(self, arguments: dict[str, Any]) -> None:
        """Insert a fulfilment with its lines, and count it on the order's lines."""
        self.session.connection.exec_driver_sql(
            ADD_FULFILLMENT, {"tenant_id": self.tenant_id, **arguments}
        )

    def find_shelves(self, places: list[tuple[UUID, UUID]], now: datetime) -> dict[Any, UUID]:
        """Where units of (variant, location) come back to: the same location, or the default."""
        arguments = {
            "tenant_id": self.tenant_id,
            "variant_ids": [variant_id for variant_id, _ in places],
            "location_ids": [location_id for _, location_id in places],
            "now": now,
        }
        connection = self.session.connection
        connection.exec_driver_sql(LOCK_LOCATIONS, arguments)
        rows = connection.exec_driver_sql(SHELVES, arguments)
        return {(row.variant_id, row.location_id): row.present_id for row in rows}

    def add_return(self, arguments: dict[str, Any]) -> None:
        """Insert a return with its lines, and count it on the order's lines."""
        self.session.connection.exec_driver_sql(
            ADD_RETURN, {"tenant_id": self.tenant_id, **arguments}
        )
