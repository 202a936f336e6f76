"""SQL of refunds."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, literal_column, select

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.kernel.clock import format_instant
from shop_api.models import payments, refunds

r = refunds.alias("r")
y = payments.alias("y")

REFUND_JSON = """
(SELECT row_to_json(j)::text FROM (SELECT r.id, r.order_id,
    json_money(r.amount, r.currency) AS amount,
    json_money(r.shipping_amount, r.currency) AS shipping_amount,
    json_money(r.tax_amount, r.currency) AS tax_amount, r.currency,
    (SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.line_id), '[]') FROM (
        SELECT l.order_line_id AS line_id, l.quantity,
            json_money(l.amount, r.currency) AS amount,
            json_money(l.tax_amount, r.currency) AS tax_amount
        FROM refund_lines l WHERE l.tenant_id = r.tenant_id AND l.refund_id = r.id) k) AS lines,
    (SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.payment_id), '[]') FROM (
        SELECT q.payment_id, json_money(q.amount, r.currency) AS amount
        FROM refund_payments q
        WHERE q.tenant_id = r.tenant_id AND q.refund_id = r.id) k) AS payments,
    r.reason, json_instant(r.created_at) AS created_at) j)
"""

REFUNDS_BY_CREATED_AT = Sort("created_at", r.c.created_at, format_instant, datetime.fromisoformat)

# The money, the goods it is for, and the payments it comes from: payments have a CHECK that no more
# comes back than was paid.
ADD_REFUND = """
WITH line AS (
    SELECT * FROM json_to_recordset(%(lines)s::json) AS x (id uuid, line_id uuid, quantity int,
        cancelled_quantity int, amount numeric, tax_amount numeric)
), source AS (
    SELECT * FROM json_to_recordset(%(payments)s::json) AS x (payment_id uuid, amount numeric)
), header AS (
    INSERT INTO refunds (tenant_id, id, order_id, amount, shipping_amount, tax_amount,
        shipping_tax_amount, currency, reason, created_at)
    VALUES (%(tenant_id)s, %(id)s, %(order_id)s, %(amount)s, %(shipping_amount)s, %(tax_amount)s,
        %(shipping_tax_amount)s, %(currency)s, %(reason)s, %(now)s)
), told AS (
    INSERT INTO refund_lines (tenant_id, id, refund_id, order_line_id, quantity, amount, tax_amount)
    SELECT %(tenant_id)s, x.id, %(id)s, x.line_id, x.quantity, x.amount, x.tax_amount FROM line x
), paid AS (
    INSERT INTO refund_payments (tenant_id, refund_id, payment_id, amount)
    SELECT %(tenant_id)s, %(id)s, x.payment_id, x.amount FROM source x
), counted AS (
    UPDATE order_lines l SET refunded_quantity = l.refunded_quantity + x.quantity,
        cancelled_quantity = l.cancelled_quantity + x.cancelled_quantity,
        refunded_amount = l.refunded_amount + x.amount + x.tax_amount
    FROM line x WHERE l.tenant_id = %(tenant_id)s AND l.id = x.line_id
)
UPDATE payments y SET refunded_amount = y.refunded_amount + x.amount, updated_at = %(now)s
FROM source x WHERE y.tenant_id = %(tenant_id)s AND y.id = x.payment_id
"""


class RefundRepository(Repository):
    """Refunds of one tenant."""

    def list_page(self, order_id: UUID, page: PageRequest) -> KeysetPage:
        """A page of an order's refunds."""
        query = select(page.sort.column, r.c.id, literal_column(REFUND_JSON)).where(
            r.c.tenant_id == self.tenant_id, r.c.order_id == order_id
        )
        return fetch_page(self.session, query, r.c.id, page)

    def count(self, order_id: UUID) -> int:
        """How many refunds an order has."""
        query = (
            select(func.count())
            .select_from(r)
            .where(r.c.tenant_id == self.tenant_id, r.c.order_id == order_id)
        )
        return self.session.execute(query).scalar_one()

    def get(self, refund_id: UUID) -> Row[Any]:
        """A refund's resource row."""
        query: Select[Any] = select(literal_column(REFUND_JSON).label("body")).where(
            r.c.tenant_id == self.tenant_id, r.c.id == refund_id
        )
        return self.session.execute(query).one()

    def sums(self, order_id: UUID) -> Row[Any]:
        """What has been refunded of an order so far, by part."""
        query = select(
            func.coalesce(func.sum(r.c.amount), 0).label("amount"),
            func.coalesce(func.sum(r.c.shipping_amount), 0).label("shipping"),
            func.coalesce(func.sum(r.c.tax_amount), 0).label("tax"),
            func.coalesce(func.sum(r.c.shipping_tax_amount), 0).label("shipping_tax"),
        ).where(r.c.tenant_id == self.tenant_id, r.c.order_id == order_id)
        return self.session.execute(query).one()

    def list_captured(self, order_id: UUID) -> list[Row[Any]]:
        """The payments of an order that money can come back from, newest first."""
        query = select(y).where(
            y.c.tenant_id == self.tenant_id,
            y.c.order_id == order_id,
            y.c.status == "captured",
            y.c.amount > y.c.refunded_amount,
        )
        return list(self.session.execute(query.order_by(y.c.created_at.desc(), y.c.id.desc())))

    def add(self, arguments: dict[str, Any]) -> None:
        """Insert a refund with its lines and payments, and count it on both."""
        self.session.connection.exec_driver_sql(
            ADD_REFUND, {"tenant_id": self.tenant_id, **arguments}
        )
