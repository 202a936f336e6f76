"""SQL of orders: one representation, and the few statements an order is placed with."""

from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, literal_column, select, update

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.known_values import known, known_list
from shop_api.db.round_trips import Statement
from shop_api.db.tenancy import Repository
from shop_api.domains.orders import errors
from shop_api.domains.pricing.repository import terms_json
from shop_api.kernel.clock import format_instant
from shop_api.models import events, order_lines, orders, stock_levels
from shop_api.spine.unit_of_work import NumberedRow

o = orders.alias("o")
e = events.alias("e")

# of a payment as clients see it, aliased `y`
PAYMENT_COLUMNS = """y.id, y.provider, y.method, y.status,
            json_money(y.amount, y.currency) AS amount,
            json_money(y.authorized_amount, y.currency) AS authorized_amount,
            json_money(y.refunded_amount, y.currency) AS refunded_amount,
            y.currency, y.reference, y.failure_code, json_instant(y.created_at) AS created_at"""


def _whole(address: str) -> str:
    """An order's address with what it lacks as null: imported and erased ones know little."""
    parts = ("city", "company", "country", "line1", "line2", "phone", "postal_code", "recipient")
    nothing = ", ".join(f'"{part}": null' for part in (*parts, "region"))
    return f"'{{{nothing}}}'::jsonb || o.{address} AS {address}"


def order_json(lines_from: str, discounts_from: str) -> str:
    """The representation of the order aliased `o`.

    `lines_from` selects its lines as `l`, `discounts_from` what was taken off as `d`.
    """
    return f"""
(SELECT row_to_json(r)::text FROM (SELECT o.id, o.tenant_id, o.number, o.customer_id, o.session_id,
    o.status, o.payment_status, o.fulfillment_status, o.channel, o.currency, o.base_currency,
    trim_scale(o.exchange_rate) AS exchange_rate,
    json_money(o.subtotal, o.currency) AS subtotal,
    json_money(o.discount_total, o.currency) AS discount_total,
    json_money(o.shipping_total, o.currency) AS shipping_total,
    json_money(o.shipping_tax_total, o.currency) AS shipping_tax_total,
    json_money(o.tax_total, o.currency) AS tax_total, o.tax_included AS prices_include_tax,
    json_money(o.total, o.currency) AS total,
    json_money(o.paid_total, o.currency) AS paid_total,
    json_money(o.refunded_total, o.currency) AS refunded_total,
    json_money(CASE WHEN o.status = 'cancelled' THEN 0
        ELSE greatest(o.total + o.owed_again_total - o.paid_total, 0) END, o.currency) AS due_total,
    {_whole("shipping_address")}, {_whole("billing_address")}, o.shipping_method, o.note,
    o.cancel_reason,
    (SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.position), '[]') FROM (
        SELECT d.position, d.code, d.title, d.kind, json_money(d.amount, o.currency) AS amount,
            json_money(d.shipping_amount, o.currency) AS shipping_amount
        FROM {discounts_from}) k) AS discounts,
    (SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.position), '[]') FROM (
        SELECT l.id, l.position, l.product_id, l.variant_id, l.title, l.sku, l.quantity,
            json_money(l.unit_price, o.currency) AS unit_price,
            json_money(l.subtotal, o.currency) AS subtotal,
            json_money(l.discount_total, o.currency) AS discount_total,
            trim_scale(l.tax_rate_ratio) AS tax_rate,
            json_money(l.tax_total, o.currency) AS tax_total,
            json_money(l.total, o.currency) AS total,
            l.fulfilled_quantity, l.returned_quantity, l.refunded_quantity, l.cancelled_quantity,
            json_money(l.refunded_amount, o.currency) AS refunded_total
        FROM {lines_from}) k) AS lines,
    (SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.created_at, k.id), '[]') FROM (
        SELECT {PAYMENT_COLUMNS}
        FROM payments y WHERE y.tenant_id = o.tenant_id AND y.order_id = o.id) k) AS payments,
    json_instant(o.hold_expires_at) AS hold_expires_at,
    json_instant(o.placed_at) AS placed_at, json_instant(o.completed_at) AS completed_at,
    json_instant(o.cancelled_at) AS cancelled_at, o.external_id,
    json_instant(o.created_at) AS created_at, json_instant(o.updated_at) AS updated_at) r)
"""


ORDER_JSON = order_json(
    "order_lines l WHERE l.tenant_id = o.tenant_id AND l.order_id = o.id",
    "order_discounts d WHERE d.tenant_id = o.tenant_id AND d.order_id = o.id",
)

ORDER_SORTS = {
    "placed_at": Sort("placed_at", o.c.placed_at, format_instant, datetime.fromisoformat),
    "updated_at": Sort("updated_at", o.c.updated_at, format_instant, datetime.fromisoformat),
    "total": Sort("total", o.c.total_rank, str, int),
}

EVENT_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT e.sequence, e.type, e.data, e.actor, e.request_id,
    json_instant(e.recorded_at) AS recorded_at) r)
"""
# an order's events have one subject, so the id beside the sequence is the same in all
EVENTS_BY_SEQUENCE = Sort("sequence", e.c.sequence, str, int)

# Held as the order's reference holds them: they are erased before the order, or see it.
BUYER = """
WITH buyer AS MATERIALIZED (
    SELECT erased_at FROM customers WHERE tenant_id = %(tenant_id)s AND id = %(customer_id)s
    FOR KEY SHARE
)"""


@cache
def find_offers_sql(*, has_customer: bool, **has: bool) -> str:
    """The offers of an order's lines; the first row has the terms the order is priced by."""
    terms = terms_json(**has)
    customer, erased_at = (BUYER, "(SELECT erased_at FROM buyer)") if has_customer else ("", "NULL")
    return f"""{customer}
SELECT w.position, v.id AS variant_id, v.product_id,
    CASE WHEN v.title = 'Default' THEN p.name ELSE p.name || ' – ' || v.title END AS title,
    coalesce(v.sku, p.sku) AS sku, coalesce(v.price, p.price) AS price,
    coalesce(v.cost_price, p.cost_price) AS cost, p.status, t.currency,
    make_interval(mins => (t.settings->>'order_hold_minutes')::integer) AS own_hold,
    p.tax_class, coalesce(v.weight_grams, 0) AS weight_grams,
    CASE WHEN w.position = 1 THEN {terms} END AS terms, {erased_at} AS erased_at
FROM unnest(%(variant_ids)s::uuid[]) WITH ORDINALITY AS w (variant_id, position)
JOIN tenants t ON t.id = %(tenant_id)s
LEFT JOIN variants v ON v.tenant_id = %(tenant_id)s AND v.id = w.variant_id
LEFT JOIN products p ON p.tenant_id = v.tenant_id AND p.id = v.product_id
ORDER BY w.position
"""


# Stock rows are locked in key order, then one place per variant is chosen: the default location if
# it has enough. The ledger row commits with the hold. A variant that has no place with enough has
# no location in the answer; one whose stock is not counted is not in it.
RESERVE = """
WITH w AS (
    SELECT w.*, v.allow_backorder, v.product_id, v.low_stock_alert
    FROM json_to_recordset(%(wanted)s::json) AS w (variant_id uuid, wanted int, movement_id uuid)
    JOIN variants v ON v.tenant_id = %(tenant_id)s AND v.id = w.variant_id AND v.track_quantity
), locked AS (
    SELECT s.variant_id, s.location_id, s.quantity, s.reserved
    FROM stock_levels s
    WHERE s.tenant_id = %(tenant_id)s AND s.variant_id = ANY(ARRAY(SELECT variant_id FROM w))
    ORDER BY s.variant_id, s.location_id FOR UPDATE
), chosen AS (
    SELECT DISTINCT ON (l.variant_id) l.variant_id, l.location_id, w.wanted, w.movement_id,
        l.quantity - l.reserved AS available
    FROM locked l JOIN w USING (variant_id)
    JOIN locations a ON a.tenant_id = %(tenant_id)s AND a.id = l.location_id
    WHERE l.quantity - l.reserved >= w.wanted OR w.allow_backorder
    ORDER BY l.variant_id, (l.quantity - l.reserved >= w.wanted) DESC, a.is_default DESC,
        l.location_id
), held AS (
    UPDATE stock_levels s SET reserved = s.reserved + c.wanted, updated_at = %(now)s
    FROM chosen c WHERE s.tenant_id = %(tenant_id)s AND s.variant_id = c.variant_id
      AND s.location_id = c.location_id
    RETURNING s.variant_id
), moved AS (
    INSERT INTO stock_movements (tenant_id, id, variant_id, location_id, quantity_delta,
        reserved_delta, reason, order_id, actor, created_at)
    SELECT %(tenant_id)s, c.movement_id, c.variant_id, c.location_id, 0, c.wanted, 'reserved',
        %(order_id)s, %(actor)s, %(now)s FROM chosen c
)
SELECT w.variant_id, w.product_id, w.low_stock_alert, c.location_id, c.available
FROM w LEFT JOIN chosen c USING (variant_id) ORDER BY w.variant_id
"""

# The lines first, then the number that the next order of the shop waits for, the order, and the
# order as clients see it: part of the statement that records the mutation. One that costs nothing
# begins as paid. Prices are in the shop's currency: no rate of exchange is looked up.
ORDER_CTES = f"""
l AS (
    INSERT INTO order_lines (tenant_id, id, order_id, position, product_id, variant_id, location_id,
        title, sku, quantity, unit_price, unit_cost, subtotal, discount_total, tax_rate_ratio,
        tax_total, tax_included, total)
    SELECT %(tenant_id)s, x.id, %(id)s, x.position, x.product_id, x.variant_id, x.location_id,
        x.title, x.sku, x.quantity, x.unit_price, x.unit_cost, x.subtotal,
        x.discount_total, x.tax_rate_ratio, x.tax_total, %(tax_included)s, x.total
    FROM json_to_recordset(%(lines)s::json) AS x (id uuid, position int, product_id uuid,
        variant_id uuid, location_id uuid, title text, sku text, quantity int,
        unit_price numeric, unit_cost numeric, subtotal numeric, discount_total numeric,
        tax_rate_ratio numeric, tax_total numeric, total numeric)
    RETURNING *
), d AS (
    INSERT INTO order_discounts (tenant_id, id, order_id, discount_id, customer_id, position, code,
        title, kind, amount, shipping_amount, line_amounts, created_at)
    SELECT %(tenant_id)s, x.id, %(id)s, x.discount_id, %(customer_id)s, x.position, x.code,
        x.title, x.kind, x.amount, x.shipping_amount, x.line_amounts, %(now)s
    FROM json_to_recordset(%(discounts)s::json) AS x (id uuid, discount_id uuid, position int,
        code text, title text, kind text, amount numeric, shipping_amount numeric,
        line_amounts numeric[])
    RETURNING *
), order_counter AS MATERIALIZED (
    SELECT draw_numbers(%(tenant_id)s, 'order', 1) AS value WHERE (SELECT count(*) FROM l) >= 0
), o AS (
    INSERT INTO orders (tenant_id, id, number, customer_id, status, payment_status,
        fulfillment_status, channel, currency, base_currency, exchange_rate, subtotal,
        discount_total, shipping_total, shipping_tax_total, tax_total, tax_included, total,
        shipping_address, billing_address, shipping_method, note, placed_at, hold_expires_at,
        external_id, session_id, created_at, updated_at)
    SELECT %(tenant_id)s, %(id)s, (SELECT value FROM order_counter), %(customer_id)s,
        CASE WHEN %(total)s::numeric = 0 THEN 'processing' ELSE 'pending' END,
        CASE WHEN %(total)s::numeric = 0 THEN 'paid' ELSE 'unpaid' END,
        'unfulfilled', %(channel)s, %(currency)s, %(currency)s, 1, %(subtotal)s, %(discount_total)s,
        %(shipping_total)s, %(shipping_tax_total)s, %(tax_total)s, %(tax_included)s, %(total)s,
        %(shipping_address)s::jsonb, %(billing_address)s::jsonb, %(shipping_method)s, %(note)s,
        %(now)s, CASE WHEN %(total)s::numeric > 0 THEN %(hold_expires_at)s::timestamptz END,
        %(external_id)s, %(session_id)s, %(now)s, %(now)s
    RETURNING *
), resource AS MATERIALIZED (
    SELECT o.id, o.version, o.number, {order_json("l", "d")} AS body FROM o
)
"""

# What an order holds leaves the shelf (sold) or is free again (released), or comes back (returned):
# levels locked in key order, with their ledger rows. Only what may be backordered goes below zero.
MOVE_STOCK = """
WITH moved AS (
    SELECT * FROM json_to_recordset(%(moves)s::json)
        AS m (variant_id uuid, location_id uuid, quantity_delta int, reserved_delta int)
), locked AS (
    SELECT s.variant_id, s.location_id, m.reserved_delta,
        CASE WHEN %(is_write_off)s THEN -least(-m.quantity_delta, greatest(s.quantity, 0))
            ELSE m.quantity_delta END AS quantity_delta
    FROM stock_levels s JOIN moved m USING (variant_id, location_id)
    WHERE s.tenant_id = %(tenant_id)s ORDER BY s.variant_id, s.location_id FOR UPDATE OF s
), changed AS (
    UPDATE stock_levels s SET reserved = s.reserved + m.reserved_delta,
        quantity = s.quantity + m.quantity_delta,
        is_backordered = s.quantity + m.quantity_delta < 0
            AND CASE WHEN m.quantity_delta < 0 THEN v.allow_backorder ELSE s.is_backordered END,
        updated_at = %(now)s
    FROM locked m JOIN variants v ON v.tenant_id = %(tenant_id)s AND v.id = m.variant_id
    WHERE s.tenant_id = %(tenant_id)s AND s.variant_id = m.variant_id
      AND s.location_id = m.location_id
    RETURNING s.variant_id, s.location_id, s.quantity - s.reserved AS available,
        m.quantity_delta, m.reserved_delta, v.product_id, v.low_stock_alert
), ledger AS (
    INSERT INTO stock_movements (tenant_id, id, variant_id, location_id, quantity_delta,
        reserved_delta, reason, order_id, actor, created_at)
    SELECT %(tenant_id)s, gen_random_uuid(), c.variant_id, c.location_id, c.quantity_delta,
        c.reserved_delta, %(reason)s, %(order_id)s, %(actor)s, %(now)s FROM changed c
)
SELECT variant_id, location_id, product_id, low_stock_alert,
    available - quantity_delta + reserved_delta AS old_available,
    quantity_delta - reserved_delta AS available_delta
FROM changed ORDER BY variant_id, location_id
"""

# what a change of an order needs to know of it
LOCKED = [
    "id",
    "version",
    "status",
    "payment_status",
    "fulfillment_status",
    "currency",
    "total",
    "shipping_total",
    "tax_total",
    "shipping_tax_total",
    "tax_included",
    "paid_total",
    "refunded_total",
    "owed_again_total",
    "hold_expires_at",
    "customer_id",
    "external_id",
    "note",
    "shipping_address",
    "billing_address",
]

# A product may be deleted after its offer was found.
REFUSALS = {
    "fk_order_lines_tenant_id_product_id": errors.VARIANT_GONE,
    "fk_order_lines_tenant_id_variant_id": errors.VARIANT_GONE,
}


def numbered_order(arguments: dict[str, Any]) -> NumberedRow:
    """An order with its lines and discounts, to be written as the unit of work commits."""
    return NumberedRow(ORDER_CTES, arguments, REFUSALS)


class OrderRepository(Repository):
    """Orders of one tenant."""

    def list_page(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of orders, with lines and payments."""
        query = select(page.sort.column, o.c.id, literal_column(ORDER_JSON))
        return fetch_page(self.session, self._filtered(query, filters), o.c.id, page)

    def count(self, filters: dict[str, Any]) -> int:
        """How many orders the filters leave."""
        query = self._filtered(select(func.count()).select_from(o), filters)
        return self.session.execute(query).scalar_one()

    def _filtered(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(o.c.tenant_id == self.tenant_id)
        for name in ("customer_id", "session_id", "channel", "number", "external_id"):
            if name in filters:
                query = query.where(o.c[name] == filters[name])
        for name in ("status", "payment_status", "fulfillment_status"):
            if name in filters:
                query = query.where(o.c[name].in_(known_list(filters[name])))
        for name, column in (("placed", o.c.placed_at), ("updated", o.c.updated_at)):
            if f"{name}_after" in filters:
                query = query.where(column > known(filters[f"{name}_after"]))
            if f"{name}_before" in filters:
                query = query.where(column < known(filters[f"{name}_before"]))
        return query

    def find(self, order_id: UUID) -> Row[Any] | None:
        """An order's resource row."""
        query = select(o.c.id, o.c.version, literal_column(ORDER_JSON).label("body"))
        return self.session.execute(
            query.where(o.c.tenant_id == self.tenant_id, o.c.id == order_id)
        ).first()

    def exists(self, order_id: UUID) -> bool:
        """Whether there is such an order."""
        query = select(o.c.id).where(o.c.tenant_id == self.tenant_id, o.c.id == order_id)
        return self.session.execute(query).first() is not None

    def lock(self, order_id: UUID) -> Row[Any] | None:
        """The row itself, locked: whoever changes anything of an order's life holds it."""
        query = select(*(o.c[name] for name in LOCKED)).where(
            o.c.tenant_id == self.tenant_id, o.c.id == order_id
        )
        return self.session.execute(query.with_for_update()).first()

    def list_lines(self, order_id: UUID) -> list[Row[Any]]:
        """The lines of an order, by position; `left_quantity`: units still to be handed over."""
        c = order_lines.c
        left = (c.quantity - c.fulfilled_quantity - c.cancelled_quantity).label("left_quantity")
        query = select(order_lines, left).where(
            c.tenant_id == self.tenant_id, c.order_id == order_id
        )
        return list(self.session.execute(query.order_by(c.position)))

    def list_events(self, order_id: UUID, page: PageRequest) -> KeysetPage:
        """A page of what happened to an order."""
        query = select(page.sort.column, e.c.subject_id, literal_column(EVENT_JSON)).where(
            e.c.tenant_id == self.tenant_id, e.c.subject_id == order_id
        )
        return fetch_page(self.session, query, e.c.subject_id, page)

    def count_events(self, order_id: UUID) -> int:
        """How many events an order has."""
        query = select(func.count()).where(
            e.c.tenant_id == self.tenant_id, e.c.subject_id == order_id
        )
        return self.session.execute(query).scalar_one()

    def reserve(self, arguments: dict[str, Any]) -> tuple[list[Row[Any]], list[Row[Any]]]:
        """Find what is wanted and hold it, in one round trip: offers, and stock levels.

        Offers: what each variant sells at, in the order asked, variant_id None if unknown; the
        first has the order's terms (discounts, taxes, shipping rate). Levels: (variant_id,
        location_id, available before) of each variant whose stock is counted, by variant_id;
        nothing is held of those without a location.
        """
        find = find_offers_sql(
            has_codes=bool(arguments["codes"]),
            has_country=arguments["country"] is not None,
            is_in_person=arguments["is_in_person"],
            has_shipping=arguments["shipping_rate_id"] is not None,
            has_customer=arguments["customer_id"] is not None,
        )
        parameters = {"tenant_id": self.tenant_id, **arguments}
        statements = (Statement(find, parameters), Statement(RESERVE, parameters))
        offers, levels = self.session.fetch_together(*statements)
        return offers, levels

    def find_available(self, variant_ids: set[UUID]) -> dict[UUID, tuple[int, int]]:
        """What one location has of each variant at most, and all together, not held."""
        available = func.greatest(stock_levels.c.quantity - stock_levels.c.reserved, 0)
        rows = self.session.execute(
            select(stock_levels.c.variant_id, func.max(available), func.sum(available))
            .where(
                stock_levels.c.tenant_id == self.tenant_id,
                stock_levels.c.variant_id.in_(variant_ids),
            )
            .group_by(stock_levels.c.variant_id)
        )
        return {variant_id: (most, together) for variant_id, most, together in rows}

    def change(self, order_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows."""
        self.session.execute(
            update(orders)
            .where(orders.c.tenant_id == self.tenant_id, orders.c.id == order_id)
            .values(version=orders.c.version + 1, **values)
        )

    def move_stock(self, arguments: dict[str, Any]) -> list[Row[Any]]:
        """Move stock for an order; the levels after, with what was available before."""
        parameters = {"tenant_id": self.tenant_id, **arguments}
        return list(self.session.connection.exec_driver_sql(MOVE_STOCK, parameters))
