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

    def add_return(self, arguments: dict[str, Any]) -> None:
        """Insert a return with its lines, and count it on the order's lines."""
        self.session.connection.exec_driver_sql(
            ADD_RETURN, {"tenant_id": self.tenant_id, **arguments}
        )
