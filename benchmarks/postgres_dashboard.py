"""The dashboard's figures in plain SQL from the orders, as a careful developer would write them.

Belongs here: the statements, and comparing what they give with an answer from the lake. Does not:
how the orders came there (postgres_copy.py), and measuring.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.lake_rows import CURRENCY
from benchmarks.servers import Stores

SALES = """
WITH returned AS (
    SELECT r.order_id, sum(r.shipping_amount) AS shipping, sum(r.tax_amount) AS taxes,
        sum(r.amount - r.shipping_amount - r.tax_amount) AS goods
    FROM refunds r WHERE r.tenant_id = %(tenant)s GROUP BY r.order_id
)
SELECT date_trunc('month', o.placed_at) AS bucket, o.status, count(*) AS orders,
    sum(u.units) AS units, sum(o.subtotal) AS gross_sales, sum(o.discount_total) AS discounts,
    sum(o.shipping_total) - coalesce(sum(b.shipping), 0) AS shipping,
    sum(o.tax_total) - coalesce(sum(b.taxes), 0) AS taxes, coalesce(sum(b.goods), 0) AS returns
FROM orders o
LEFT JOIN returned b ON b.order_id = o.id
JOIN (SELECT l.order_id, sum(l.quantity) AS units FROM order_lines l
    WHERE l.tenant_id = %(tenant)s GROUP BY l.order_id) u ON u.order_id = o.id
WHERE o.tenant_id = %(tenant)s AND o.currency = %(currency)s
    AND o.placed_at >= %(start)s AND o.placed_at < %(end)s
GROUP BY bucket, o.status
"""
PRODUCTS = """
SELECT p.id, p.name, p.sku, c.name AS category, sum(l.quantity) AS units,
    sum(l.subtotal) AS gross_sales, sum(l.discount_total) AS discounts,
    coalesce(sum(b.goods), 0) AS returns
FROM orders o
JOIN order_lines l ON l.tenant_id = o.tenant_id AND l.order_id = o.id
JOIN products p ON p.tenant_id = l.tenant_id AND p.id = l.product_id
LEFT JOIN product_categories k ON k.tenant_id = p.tenant_id AND k.product_id = p.id
LEFT JOIN categories c ON c.tenant_id = k.tenant_id AND c.id = k.category_id
LEFT JOIN (SELECT order_line_id, sum(amount) AS goods FROM refund_lines
    WHERE tenant_id = %(tenant)s GROUP BY order_line_id) b ON b.order_line_id = l.id
WHERE o.tenant_id = %(tenant)s AND o.currency = %(currency)s AND o.cancelled_at IS NULL
    AND o.placed_at >= %(start)s AND o.placed_at < %(end)s
GROUP BY p.id, p.name, p.sku, c.name ORDER BY gross_sales DESC, p.id
"""
PAYMENTS = """
SELECT y.method, sum(y.amount) AS amount, count(*) AS payments
FROM orders o JOIN payments y ON y.tenant_id = o.tenant_id AND y.order_id = o.id
WHERE o.tenant_id = %(tenant)s AND o.currency = %(currency)s AND o.cancelled_at IS NULL
    AND o.placed_at >= %(start)s AND o.placed_at < %(end)s AND y.status = 'captured'
GROUP BY y.method
"""
CUSTOMERS = """
SELECT count(*) AS customers, count(*) FILTER (WHERE first_order_at >= %(start)s) AS new,
    count(*) FILTER (WHERE orders > 1 OR first_order_at < %(start)s) AS returning
FROM (
    SELECT o.customer_id, count(*) AS orders,
        (SELECT min(f.placed_at) FROM orders f WHERE f.tenant_id = %(tenant)s
            AND f.customer_id = o.customer_id AND f.cancelled_at IS NULL) AS first_order_at
    FROM orders o
    WHERE o.tenant_id = %(tenant)s AND o.currency = %(currency)s AND o.cancelled_at IS NULL
        AND o.placed_at >= %(start)s AND o.placed_at < %(end)s AND o.customer_id IS NOT NULL
    GROUP BY o.customer_id
) c
"""
FULFILLMENT = """
SELECT o.fulfillment_status, count(*) AS orders
FROM orders o
WHERE o.tenant_id = %(tenant)s AND o.currency = %(currency)s AND o.cancelled_at IS NULL
    AND o.placed_at >= %(start)s AND o.placed_at < %(end)s
GROUP BY o.fulfillment_status
"""
CATALOGUE = "SELECT status, count(*) FROM products WHERE tenant_id = %(tenant)s GROUP BY status"
STATEMENTS = (SALES, PRODUCTS, PAYMENTS, CUSTOMERS, FULFILLMENT, CATALOGUE)


class PostgresDashboard:
    """One connection that answers the dashboard's figures from the orders."""

    def __init__(self, stores: Stores, tenant_id: UUID) -> None:
        self._connection = psycopg.connect(
            stores.postgres.server.get_uri(database="shop"), autocommit=True, prepare_threshold=None
        )
        self._tenant_id = tenant_id

    def __enter__(self) -> "PostgresDashboard":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def ask(self, start: date, end: date) -> list[list[Any]]:
        """The rows of each of STATEMENTS."""
        parameters = {
            "tenant": self._tenant_id,
            "currency": CURRENCY,
            "start": datetime(start.year, start.month, start.day, tzinfo=UTC),
            "end": datetime(end.year, end.month, end.day, tzinfo=UTC),
        }
        return [self._connection.execute(text, parameters).fetchall() for text in STATEMENTS]

    def compare(self, answer: dict[str, Any], start: date, end: date) -> None:
        """Fail unless both give the same figures."""
        sales, products, payments, customers, fulfillment, catalogue = self.ask(start, end)
        kept = [row for row in sales if row[1] != "cancelled"]
        revenue, orders = answer["revenue"], answer["orders"]
        pairs = {
            "placed orders": (orders["total"], sum(row[2] for row in sales)),
            "units": (revenue["units"], sum(row[3] for row in kept)),
            "gross sales": (revenue["gross_sales"], sum(row[4] for row in kept)),
            "discounts": (revenue["discounts"], sum(row[5] for row in kept)),
            "shipping": (revenue["shipping"], sum(row[6] for row in kept)),
            "taxes": (revenue["taxes"], sum(row[7] for row in kept)),
            "returns": (revenue["returns"], sum(row[8] for row in kept)),
            "top product": (revenue["top_products"][0]["units"], products[0][4]),
            "products sold": (answer["products"]["sold"], len(products)),
            "payments": (
                sum(Decimal(str(row["amount"])) for row in revenue["by_payment_method"]),
                sum(row[1] for row in payments),
            ),
            "customers": (answer["customers"]["total"], customers[0][0]),
            "new customers": (answer["customers"]["new"], customers[0][1]),
            "returning customers": (answer["customers"]["returning"], customers[0][2]),
            "fulfilled": (
                orders["fulfillment_status"]["fulfilled"],
                dict(fulfillment)["fulfilled"],
            ),
            "catalogue": (answer["products"]["active"], dict(catalogue)["active"]),
        }
        wrong = {
            name: (lake, database)
            for name, (lake, database) in pairs.items()
            if Decimal(str(lake)) != Decimal(database)
        }
        if wrong:
            raise RuntimeError(f"lake and Postgres differ: {wrong}")
