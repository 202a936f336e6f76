"""SQL of forgetting a customer, table by table.

A column that may hold personal data of a customer belongs here; a test looks for it everywhere.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from shop_api.db.tenancy import Repository
from shop_api.models import orders

_SAID = "unnest(ARRAY[c.email, c.phone, c.first_name, c.last_name]) AS t (said)"
# A kept answer tells of the customer, or of an order of theirs that was touched while it is kept,
# or names them in what is said of the session they were at. What is encrypted is of sign-ins or
# composed of other answers.
REFUSE_KEPT_ANSWERS = f"""
UPDATE idempotency_records r SET status = %(status)s, headers = %(headers)s::jsonb, body = %(body)s
FROM customers c
WHERE r.tenant_id = %(tenant_id)s AND NOT r.is_encrypted AND r.status < 300
AND c.tenant_id = %(tenant_id)s AND c.id = %(customer_id)s
AND (position(convert_to(c.id::text, 'UTF8') IN r.body) > 0 OR EXISTS (
    SELECT FROM orders o WHERE o.tenant_id = %(tenant_id)s AND o.customer_id = %(customer_id)s
    AND o.updated_at >= (SELECT min(k.created_at) FROM idempotency_records k
                         WHERE k.tenant_id = %(tenant_id)s)
    AND (position(convert_to(o.id::text, 'UTF8') IN r.body) > 0
         OR position(convert_to(o.session_id::text, 'UTF8') IN r.body) > 0 AND EXISTS (
             SELECT FROM {_SAID}
             WHERE position(convert_to(NULLIF(t.said, ''), 'UTF8') IN r.body) > 0))))
"""
# What is encrypted cannot be looked into. Sent again, such a request does nothing twice.
FORGET_COMPOSED_ANSWERS = """
DELETE FROM idempotency_records WHERE tenant_id = %(tenant_id)s AND is_composed
"""
# What an import refused is told with the value that was refused.
FORGET_REJECTS = """
UPDATE job_rejects j SET reason = 'A value of a customer who was erased since.'
FROM customers c
WHERE c.tenant_id = %(tenant_id)s AND c.id = %(customer_id)s AND j.tenant_id = c.tenant_id
AND (position(c.email IN lower(j.reason)) > 0
     OR position(NULLIF(c.phone, '') IN j.reason) > 0)
"""
_PLACE = """
    {name} = NULLIF(jsonb_strip_nulls(jsonb_build_object('country', o.{name}->'country',
        'region', o.{name}->'region')), '{{}}')"""
# Taxes were charged by country and region, and figures are cut by them: those stay.
FORGET_ORDERS = f"""
WITH theirs AS (
    SELECT id FROM orders WHERE tenant_id = %(tenant_id)s AND customer_id = %(customer_id)s
), paid AS (
    UPDATE payments y SET reference = NULL FROM theirs t
    WHERE y.tenant_id = %(tenant_id)s AND y.order_id = t.id AND y.provider = 'manual'
    AND y.reference IS NOT NULL
), sent AS (
    UPDATE fulfillments f SET tracking_number = NULL, tracking_url = NULL FROM theirs t
    WHERE f.tenant_id = %(tenant_id)s AND f.order_id = t.id
), refunded AS (
    UPDATE refunds r SET reason = NULL FROM theirs t
    WHERE r.tenant_id = %(tenant_id)s AND r.order_id = t.id AND r.reason IS NOT NULL
), returned AS (
    UPDATE returns r SET reason = NULL FROM theirs t
    WHERE r.tenant_id = %(tenant_id)s AND r.order_id = t.id AND r.reason IS NOT NULL
)
UPDATE orders o SET note = NULL,
    cancel_reason = CASE WHEN o.cancel_reason = 'expired' THEN o.cancel_reason END,
    {_PLACE.format(name="shipping_address")},
    {_PLACE.format(name="billing_address")}, version = o.version + 1, updated_at = %(now)s
FROM theirs t WHERE o.tenant_id = %(tenant_id)s AND o.id = t.id
"""
# A table may be shared: its note goes when it speaks of the customer.
FORGET_NOTES = f"""
UPDATE sessions s SET note = NULL, version = s.version + 1, updated_at = %(now)s
FROM customers c
WHERE c.tenant_id = %(tenant_id)s AND c.id = %(customer_id)s AND s.tenant_id = c.tenant_id
AND s.id IN (SELECT o.session_id FROM orders o WHERE o.tenant_id = %(tenant_id)s
             AND o.customer_id = %(customer_id)s)
AND EXISTS (SELECT FROM {_SAID}
            WHERE position(lower(NULLIF(t.said, '')) IN lower(s.note)) > 0)
"""
FORGET_CUSTOMER = """
WITH book AS (
    DELETE FROM customer_addresses a
    WHERE a.tenant_id = %(tenant_id)s AND a.customer_id = %(customer_id)s
)
UPDATE customers c SET email = NULL, first_name = '', last_name = '', phone = NULL, tags = '{}',
    external_id = NULL, erased_at = %(now)s, version = c.version + 1, updated_at = %(now)s
WHERE c.tenant_id = %(tenant_id)s AND c.id = %(customer_id)s
"""


class ErasureRepository(Repository):
    """What one tenant knows of its customers."""

    def lock_orders(self, customer_id: UUID) -> list[UUID]:
        """The customer's orders, locked in the order of their ids."""
        query = (
            select(orders.c.id)
            .where(orders.c.tenant_id == self.tenant_id, orders.c.customer_id == customer_id)
            .order_by(orders.c.id)
            .with_for_update()
        )
        return list(self.session.execute(query).scalars())

    def refuse_kept_answers(self, customer_id: UUID, answer: dict[str, Any]) -> None:
        """Put `answer` in the place of each kept answer that tells of the customer."""
        self._run(REFUSE_KEPT_ANSWERS, customer_id, **answer)

    def forget_composed_answers(self) -> None:
        """Forget the kept answers that are made of others: any may tell of the customer."""
        self.session.connection.exec_driver_sql(
            FORGET_COMPOSED_ANSWERS, {"tenant_id": self.tenant_id}
        )

    def forget_rejects(self, customer_id: UUID) -> None:
        """Forget what imports quoted of the customer, who is not forgotten yet."""
        self._run(FORGET_REJECTS, customer_id)

    def forget_orders(self, customer_id: UUID, now: datetime) -> None:
        """Forget where the customer's orders went, and what was typed on them."""
        self._run(FORGET_ORDERS, customer_id, now=now)

    def forget_notes(self, customer_id: UUID, now: datetime) -> None:
        """Forget notes of sessions the customer was at, who is not forgotten yet."""
        self._run(FORGET_NOTES, customer_id, now=now)

    def forget_customer(self, customer_id: UUID, now: datetime) -> None:
        """Empty the customer's row and address book."""
        self._run(FORGET_CUSTOMER, customer_id, now=now)

    def _run(self, statement: str, customer_id: UUID, **values: Any) -> None:
        self.session.connection.exec_driver_sql(
            statement, {"tenant_id": self.tenant_id, "customer_id": customer_id, **values}
        )
