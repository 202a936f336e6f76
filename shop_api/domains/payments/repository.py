"""SQL of payments."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, func, insert, literal_column, select, update

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.domains.orders.repository import PAYMENT_COLUMNS
from shop_api.kernel.clock import format_instant
from shop_api.models import payments

y = payments.alias("y")

PAYMENT_JSON = f"(SELECT row_to_json(r)::text FROM (SELECT {PAYMENT_COLUMNS}) r)"

PAYMENTS_BY_CREATED_AT = Sort("created_at", y.c.created_at, format_instant, datetime.fromisoformat)

SUM_PAYMENTS = """
SELECT coalesce(sum(amount) FILTER (WHERE status = 'captured'), 0) AS captured,
    coalesce(sum(authorized_amount) FILTER (WHERE status = 'authorized'), 0) AS authorized,
    coalesce(sum(amount) FILTER (WHERE status = 'pending'), 0) AS pending,
    count(*) FILTER (WHERE status = 'captured') AS captures,
    (SELECT coalesce(sum(r.amount), 0) FROM refunds r
     WHERE r.tenant_id = %(tenant_id)s AND r.order_id = %(order_id)s) AS refunded
FROM payments WHERE tenant_id = %(tenant_id)s AND order_id = %(order_id)s
"""
ADD_CALLBACK = """
INSERT INTO payment_callbacks (tenant_id, provider, callback_id, payment_id, outcome, received_at)
VALUES (%(tenant_id)s, %(provider)s, %(callback_id)s, %(payment_id)s, %(outcome)s, %(now)s)
ON CONFLICT DO NOTHING RETURNING 1
"""

# An order that no money is left in is given up by the clock again, unless something of it was
# handed over, or it is at a table: that is not closed before its orders are settled.
RENEW_HOLD = """
UPDATE orders o SET hold_expires_at = %(now)s + coalesce(
        make_interval(mins => (t.settings->>'order_hold_minutes')::integer), %(hold)s),
    version = o.version + 1, updated_at = %(now)s
FROM tenants t
WHERE t.id = %(tenant_id)s AND o.tenant_id = %(tenant_id)s AND o.id = %(order_id)s
  AND o.status IN ('pending', 'processing') AND o.payment_status IN ('unpaid', 'refunded')
  AND o.fulfillment_status = 'unfulfilled' AND o.hold_expires_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM sessions x WHERE x.tenant_id = %(tenant_id)s
      AND x.id = o.session_id AND x.closed_at IS NULL FOR SHARE)
"""


class PaymentSums(NamedTuple):
    """What an order's payments and refunds come to."""

    captured: Decimal
    authorized: Decimal
    pending: Decimal
    captures: int
    refunded: Decimal

    @property
    def has_money(self) -> bool:
        """Whether something is left in the order, or held for it."""
        return self.captured > self.refunded or self.authorized > 0

    @property
    def open(self) -> Decimal:
        """What may still be captured."""
        return self.authorized + self.pending


class PaymentRepository(Repository):
    """Payments of one tenant."""

    def list_page(self, order_id: UUID, page: PageRequest) -> KeysetPage:
        """A page of an order's payments."""
        query = select(page.sort.column, y.c.id, literal_column(PAYMENT_JSON)).where(
            y.c.tenant_id == self.tenant_id, y.c.order_id == order_id
        )
        return fetch_page(self.session, query, y.c.id, page)

    def count(self, order_id: UUID) -> int:
        """How many payments an order has."""
        query = select(func.count()).where(
            y.c.tenant_id == self.tenant_id, y.c.order_id == order_id
        )
        return self.session.execute(query).scalar_one()

    def find(self, order_id: UUID, payment_id: UUID) -> Row[Any] | None:
        """A payment of an order."""
        return self.session.execute(
            select(y).where(
                y.c.tenant_id == self.tenant_id, y.c.order_id == order_id, y.c.id == payment_id
            )
        ).first()

    def find_by_reference(self, provider: str, reference: str) -> Row[Any] | None:
        """The payment a provider knows by `reference`."""
        return self.session.execute(
            select(y).where(
                y.c.tenant_id == self.tenant_id,
                y.c.provider == provider,
                y.c.reference == reference,
                # as the index has it
                y.c.provider != literal_column("'manual'"),
            )
        ).first()

    def list_open(self, order_id: UUID) -> list[Row[Any]]:
        """The payments that may still be captured."""
        query = select(y).where(
            y.c.tenant_id == self.tenant_id,
            y.c.order_id == order_id,
            y.c.status.in_(("pending", "authorized")),
        )
        return list(self.session.execute(query.order_by(y.c.created_at, y.c.id)))

    def sums(self, order_id: UUID) -> PaymentSums:
        """What an order's payments and refunds come to."""
        row = self.session.connection.exec_driver_sql(
            SUM_PAYMENTS, {"tenant_id": self.tenant_id, "order_id": order_id}
        ).one()
        return PaymentSums(*row)

    def add(self, values: dict[str, Any]) -> None:
        """Insert a payment."""
        self.session.execute(insert(payments).values(tenant_id=self.tenant_id, **values))

    def change(self, payment_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns of a payment."""
        self.session.execute(
            update(payments)
            .where(payments.c.tenant_id == self.tenant_id, payments.c.id == payment_id)
            .values(**values)
        )

    def add_callback(self, values: dict[str, Any]) -> bool:
        """Note what a provider told; False when it has told it before."""
        row = self.session.connection.exec_driver_sql(
            ADD_CALLBACK, {"tenant_id": self.tenant_id, **values}
        ).first()
        return row is not None

    def renew_hold(self, order_id: UUID, now: datetime, hold: timedelta) -> None:
        """Give an order up again in time, the tenant's or `hold`, if no money is left in it."""
        self.session.connection.exec_driver_sql(
            RENEW_HOLD,
            {"tenant_id": self.tenant_id, "order_id": order_id, "now": now, "hold": hold},
        )
