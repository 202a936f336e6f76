"""Orders with all that hangs on them: lines, payments, refunds, fulfilments.

Belongs here: reading the orders of a selection. Does not: joining and renaming (transforms).

Facts are without tax. Where prices held their tax already, it is taken out here, line by line: what
the goods would have come to without discount loses the tax that would be in it, and what was taken
off is the difference to what they came to, without theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from pipelines.frames import INSTANT, INTEGER, MONEY, RATE, RATIO, TEXT
from pipelines.sources.reader import Reader


@dataclass(frozen=True)
class Selection:
    """Which orders: a query that gives (tenant_id, order_id), and its parameters.

    Of one that `is_period`, what hangs on its orders is read by the range of their ids where few
    other orders are in that range: ids grow with time.
    """

    query: str
    parameters: Mapping[str, Any]
    is_period: bool = False


def orders_by_id(keys: pl.DataFrame) -> Selection:
    """The orders of `keys` (tenant_id, order_id)."""
    return Selection(
        "SELECT * FROM unnest(%(tenant_ids)s::uuid[], %(order_ids)s::uuid[]) AS k",
        {
            "tenant_ids": keys["tenant_id"].to_list(),
            "order_ids": keys["order_id"].to_list(),
        },
    )


def orders_placed_in(tenant_id: str, start: datetime, end: datetime) -> Selection:
    """A tenant's orders placed in [start, end)."""
    return Selection(
        "SELECT tenant_id, id FROM orders WHERE tenant_id = %(tenant_id)s::uuid"
        " AND placed_at >= %(start)s AND placed_at < %(end)s",
        {"tenant_id": tenant_id, "start": start, "end": end},
        is_period=True,
    )


@dataclass(frozen=True)
class OrderRows:
    """The orders of a selection, and the rows that belong to them; among these may be rows of other
    orders, which find no order here."""

    orders: pl.LazyFrame
    order_lines: pl.LazyFrame
    order_discounts: pl.LazyFrame
    payments: pl.LazyFrame
    refunds: pl.LazyFrame
    refund_lines: pl.LazyFrame
    fulfillment_lines: pl.LazyFrame


# Of the line aliased `l`: what it would have come to, and what was taken off. The currency is
# looked up only for a line with its tax within, and nothing is computed for one without. Twenty
# digits, that nothing is rounded twice.
GROSS = """
CASE WHEN l.tax_included THEN l.subtotal - round(
    l.subtotal - l.subtotal::numeric(38, 20) / (1 + l.tax_rate_ratio), currency_digits(
    (SELECT c.currency FROM orders c WHERE c.tenant_id = l.tenant_id AND c.id = l.order_id)))
ELSE l.subtotal END
"""
DISCOUNTS = f"""
CASE WHEN l.tax_included THEN ({GROSS}) - l.subtotal + l.discount_total + l.tax_total
ELSE l.discount_total END
"""
LINE_WITHOUT_TAX = f"(SELECT {GROSS} AS gross, {DISCOUNTS} AS discounts)"

ORDERS = f"""
SELECT o.tenant_id, o.id, number, customer_id, status, payment_status, fulfillment_status, channel,
       currency, base_currency, exchange_rate, placed_at, completed_at, cancelled_at,
       coalesce(n.gross, subtotal),
       coalesce(n.discounts, discount_total),
       shipping_total - CASE WHEN tax_included THEN shipping_tax_total ELSE 0 END,
       tax_total, shipping_tax_total, total, refunded_total, shipping_address->>'country',
       shipping_address->>'region'
FROM selected JOIN orders o ON o.tenant_id = selected.tenant_id AND o.id = selected.order_id
LEFT JOIN LATERAL (
    SELECT sum(w.gross) AS gross, sum(w.discounts) AS discounts
    FROM order_lines l CROSS JOIN LATERAL {LINE_WITHOUT_TAX} w
    WHERE o.tax_included AND l.tenant_id = o.tenant_id AND l.order_id = o.id
) n ON o.tax_included
"""
ORDER_COLUMNS = {
    "tenant_id": TEXT,
    "order_id": TEXT,
    "number": INTEGER,
    "customer_id": TEXT,
    "status": TEXT,
    "payment_status": TEXT,
    "fulfillment_status": TEXT,
    "channel": TEXT,
    "currency": TEXT,
    "base_currency": TEXT,
    "exchange_rate": RATE,
    "placed_at": INSTANT,
    "completed_at": INSTANT,
    "cancelled_at": INSTANT,
    "subtotal": MONEY,
    "discount_total": MONEY,
    "shipping_total": MONEY,
    "tax_total": MONEY,
    "shipping_tax_total": MONEY,
    "total": MONEY,
    "refunded_total": MONEY,
    "country": TEXT,
    "region": TEXT,
}

ORDER_LINES = f"""
SELECT l.tenant_id, l.order_id, l.id, product_id, variant_id, location_id, quantity, unit_price,
       unit_cost, w.gross, w.discounts, tax_rate_ratio, tax_total, total
FROM {{order_lines}} l CROSS JOIN LATERAL {LINE_WITHOUT_TAX} w
"""
ORDER_LINE_COLUMNS = {
    "tenant_id": TEXT,
    "order_id": TEXT,
    "line_id": TEXT,
    "product_id": TEXT,
    "variant_id": TEXT,
    "location_id": TEXT,
    "quantity": INTEGER,
    "unit_price": MONEY,
    "unit_cost": MONEY,
    "subtotal": MONEY,
    "discount_total": MONEY,
    "tax_rate_ratio": RATIO,
    "tax_total": MONEY,
    "total": MONEY,
}

# What each took off each line. Where prices held their tax, a line's discounts without it are given
# to them one after the other in the parts they took, each cut where all up to it are rounded: so
# they add up to the line's. The second part is of those that took nothing off any line.
ORDER_DISCOUNTS = f"""
SELECT l.tenant_id, l.order_id, l.order_discount_id, l.discount_id, l.code, l.kind, l.name, l.id,
       CASE WHEN l.tax_included THEN round(w.discounts * l.until / l.discount_total, l.digits)
            - round(w.discounts * (l.until - l.taken) / l.discount_total, l.digits)
       ELSE l.taken END, 0
FROM (
    SELECT i.*, d.id AS order_discount_id, d.discount_id, d.code, d.kind, d.title AS name,
           d.line_amounts[i.position + 1] AS taken, currency_digits(o.currency) AS digits,
           sum(d.line_amounts[i.position + 1])
               OVER (PARTITION BY i.tenant_id, i.id ORDER BY d.position) AS until
    FROM {{order_discounts}} d
    JOIN order_lines i ON i.tenant_id = d.tenant_id AND i.order_id = d.order_id
    JOIN orders o ON o.tenant_id = d.tenant_id AND o.id = d.order_id
    WHERE d.line_amounts[i.position + 1] <> 0
) l CROSS JOIN LATERAL {LINE_WITHOUT_TAX} w
UNION ALL
SELECT d.tenant_id, d.order_id, d.id, d.discount_id, d.code, d.kind, d.title, NULL, 0,
       d.shipping_amount
FROM {{order_discounts}} d
WHERE NOT 0 <> ANY(d.line_amounts)
"""
ORDER_DISCOUNT_COLUMNS = {
    "tenant_id": TEXT,
    "order_id": TEXT,
    "order_discount_id": TEXT,
    "discount_id": TEXT,
    "code": TEXT,
    "kind": TEXT,
    "title": TEXT,
    "line_id": TEXT,
    "amount": MONEY,
    "shipping_amount": MONEY,
}

PAYMENTS = """
SELECT p.tenant_id, p.order_id, p.id, method, provider, status, amount, currency, created_at
FROM {payments} p
"""
PAYMENT_COLUMNS = {
    "tenant_id": TEXT,
    "order_id": TEXT,
    "payment_id": TEXT,
    "method": TEXT,
    "provider": TEXT,
    "status": TEXT,
    "amount": MONEY,
    "currency": TEXT,
    "created_at": INSTANT,
}

REFUNDS = """
SELECT r.tenant_id, r.order_id, r.id, amount, shipping_amount, tax_amount, currency, created_at
FROM {refunds} r
"""
REFUND_COLUMNS = {
    "tenant_id": TEXT,
    "order_id": TEXT,
    "refund_id": TEXT,
    "amount": MONEY,
    "shipping_amount": MONEY,
    "tax_amount": MONEY,
    "currency": TEXT,
    "refunded_at": INSTANT,
}

REFUND_LINES = """
SELECT l.tenant_id, l.refund_id, l.order_line_id, sum(l.quantity), sum(l.amount)
FROM {refunds} r
JOIN refund_lines l ON l.tenant_id = r.tenant_id AND l.refund_id = r.id
GROUP BY 1, 2, 3
"""
REFUND_LINE_COLUMNS = {
    "tenant_id": TEXT,
    "refund_id": TEXT,
    "line_id": TEXT,
    "quantity": INTEGER,
    "goods_amount": MONEY,
}

FULFILLMENT_LINES = """
SELECT f.tenant_id, f.order_id, f.id, l.order_line_id, l.quantity, f.carrier, f.created_at
FROM {fulfillments} f
JOIN fulfillment_lines l ON l.tenant_id = f.tenant_id AND l.fulfillment_id = f.id
"""
FULFILLMENT_LINE_COLUMNS = {
    "tenant_id": TEXT,
    "order_id": TEXT,
    "fulfillment_id": TEXT,
    "line_id": TEXT,
    "quantity": INTEGER,
    "carrier": TEXT,
    "shipped_at": INSTANT,
}

WITH_PRODUCTS = """
SELECT DISTINCT l.tenant_id, l.order_id
FROM unnest(%(tenant_ids)s::uuid[], %(product_ids)s::uuid[]) AS k (tenant_id, product_id)
JOIN order_lines l ON l.tenant_id = k.tenant_id AND l.product_id = k.product_id
"""

IDS_IN_RANGE = """
SELECT count(*) FROM orders
WHERE tenant_id = %(tenant_id)s::uuid AND id BETWEEN %(first)s::uuid AND %(last)s::uuid
"""
# of a table: the rows of selected orders, and those in the range of their ids
OF_SELECTED = """
(SELECT child.* FROM selected JOIN {table} child
 ON child.tenant_id = selected.tenant_id AND child.order_id = selected.order_id)
"""
OF_RANGE = """
(SELECT * FROM {table} WHERE tenant_id = %(tenant_id)s::uuid
 AND order_id BETWEEN %(first)s::uuid AND %(last)s::uuid)
"""
CHILDREN = ("order_lines", "order_discounts", "payments", "refunds", "fulfillments")
# Orders in the range for each that is wanted, at most: reading a line costs half of finding it by
# its order.
DENSE_RATIO = 1.25

COUNTS = """
SELECT tenant_id, to_char(placed_at, 'YYYY-MM'), count(*)
FROM orders WHERE %(tenant_ids)s::uuid[] IS NULL OR tenant_id = ANY(%(tenant_ids)s::uuid[])
GROUP BY 1, 2 ORDER BY 1, 2
"""


def read_orders(reader: Reader, selection: Selection) -> OrderRows:
    """The orders of a selection and the rows that belong to them."""

    parameters = selection.parameters
    with_selection = f"WITH selected (tenant_id, order_id) AS ({selection.query}) {{}}"
    orders = reader.frame(with_selection.format(ORDERS), ORDER_COLUMNS, parameters)
    form = OF_SELECTED
    if selection.is_period and (ids := _dense_range(reader, orders, parameters)):
        with_selection, form, parameters = "{}", OF_RANGE, {**parameters, **ids}
    children = {table: form.format(table=table) for table in CHILDREN}

    def read(query: str, schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
        whole = with_selection.format(query.format(**children))
        return reader.frame(whole, schema, parameters).lazy()

    return OrderRows(
        orders.lazy(),
        read(ORDER_LINES, ORDER_LINE_COLUMNS),
        read(ORDER_DISCOUNTS, ORDER_DISCOUNT_COLUMNS),
        read(PAYMENTS, PAYMENT_COLUMNS),
        read(REFUNDS, REFUND_COLUMNS),
        read(REFUND_LINES, REFUND_LINE_COLUMNS),
        read(FULFILLMENT_LINES, FULFILLMENT_LINE_COLUMNS),
    )


def _dense_range(
    reader: Reader, orders: pl.DataFrame, parameters: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The first and last id of a tenant's orders, unless many others are between them."""
    if orders.is_empty():
        return None
    ids = {"first": orders["order_id"].min(), "last": orders["order_id"].max()}
    (count,) = reader.row(IDS_IN_RANGE, {**parameters, **ids})
    return ids if count <= DENSE_RATIO * orders.height else None


def orders_with_products(reader: Reader, products: pl.DataFrame) -> pl.DataFrame:
    """(tenant_id, order_id) of orders with a line of `products` (tenant_id, product_id)."""
    return reader.frame(
        WITH_PRODUCTS,
        {"tenant_id": TEXT, "order_id": TEXT},
        {
            "tenant_ids": products["tenant_id"].to_list(),
            "product_ids": products["product_id"].to_list(),
        },
    )


def count_orders(reader: Reader, tenant_ids: list[str] | None) -> pl.DataFrame:
    """Orders per tenant and month (UTC) they were placed in; of all tenants when None."""
    return reader.frame(
        COUNTS,
        {"tenant_id": TEXT, "month": TEXT, "orders": INTEGER},
        {"tenant_ids": tenant_ids},
    )
