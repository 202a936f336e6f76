"""Placing orders and moving them on; knows no HTTP."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.db.json import encode_json
from shop_api.domains.customers.service import refuse_erased, refuse_erased_buyer
from shop_api.domains.inventory.service import StockChange, announce, hold_backorders
from shop_api.domains.orders import errors
from shop_api.domains.orders.repository import OrderRepository, numbered_order
from shop_api.domains.pricing.repository import parse_terms
from shop_api.domains.pricing.service import (
    Amounts,
    Goods,
    PlacedOrder,
    price_placed_order,
    release_discounts,
)
from shop_api.domains.sessions.service import channel_at
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.kernel.money import ZERO, round_money
from shop_api.spine.unit_of_work import UnitOfWork

# numeric(18,4) holds fourteen digits before the point
TOTAL_LIMIT = Decimal(10) ** 14

# by variant: the location that has enough of it, if any
Places = dict[UUID, UUID | None]


def place_order(
    work: UnitOfWork,
    body: dict[str, Any],
    hold: timedelta | None = None,
    *,
    shows_stock: bool,
) -> UUID:
    """An order of some lines at the catalogue's prices, its stock held; its id.

    `shows_stock`: whether `out_of_stock` may tell how much there is. The unit of work numbers and
    writes the order. Two statements, one more at a session, one or two for each discount. Raises
    `variant_not_found`, `product_not_for_sale`, `wrong_currency`, `customer_not_found`,
    `customer_erased`, `out_of_stock`, and what pricing and sessions refuse.
    """
    channel = body.get("channel")
    if body.get("session_id"):
        channel = channel_at(work, body["session_id"], channel)
        # what is ordered at a table is settled when the session is closed
        hold = None
    lines = body["lines"]
    order_id = new_id(work.now)
    units = _count_units(lines)
    offers, levels = _reserve(work, order_id, body, units)
    currency = _check_offers(offers, body)
    goods = [_goods(offer, line["quantity"]) for offer, line in zip(offers, lines, strict=True)]
    if sum((line.subtotal for line in goods), ZERO) >= TOTAL_LIMIT:
        raise errors.amount_too_large()
    places = {level.variant_id: level.location_id for level in levels}
    _check_stock(work, offers, lines, places, shows_stock=shows_stock)
    held = [StockChange(s, s.location_id, s.available, -units[s.variant_id]) for s in levels]
    announce(work, held)
    placed = PlacedOrder(
        goods=goods,
        currency=currency,
        customer_id=body.get("customer_id"),
        codes=body.get("discount_codes", []),
        shipping_rate_id=body.get("shipping_rate_id"),
        country=(body.get("shipping_address") or {}).get("country"),
    )
    terms = parse_terms(offers[0].terms)
    amounts = price_placed_order(work, placed, terms)
    if amounts.total >= TOTAL_LIMIT:
        raise errors.amount_too_large()
    work.numbered = numbered_order(
        {
            "id": order_id,
            "channel": channel or "web",
            "currency": currency,
            "shipping_method": terms.shipping_rate.name if terms.shipping_rate else None,
            "hold_expires_at": work.now + (offers[0].own_hold or hold) if hold else None,
            "lines": encode_json(_lines(work, offers, lines, places, goods, amounts)),
            "now": work.now,
            **_stored(body),
            **_totals(work, amounts),
        }
    )
    _announce_placed(work, order_id, body, amounts.total, currency)
    return order_id


def _announce_placed(
    work: UnitOfWork, order_id: UUID, body: dict[str, Any], total: Decimal, currency: str
) -> None:
    status = "pending" if total else "processing"
    work.append(
        "order_created",
        "order",
        order_id,
        {
            "order_id": str(order_id),
            # the address is looked up when the event is read (spine/event_data.py)
            "customer_id": body.get("customer_id"),
            "total_amount": total,
            "currency": currency,
            "status": status,
        },
        takes_number=True,
    )
    told = {"status": status, "total": total, "currency": currency}
    work.audit("order_placed", "order", order_id, None, told, takes_number=True)


def _goods(offer: Row[Any], quantity: int) -> Goods:
    if (offer.cost or ZERO) * quantity >= TOTAL_LIMIT:
        raise errors.cost_too_large()
    return Goods(
        subtotal=round_money(offer.price * quantity, offer.currency),
        tax_class=offer.tax_class,
        weight_grams=offer.weight_grams * quantity,
    )


def _stored(body: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an order as it was sent."""
    values = {name: body.get(name) for name in ("customer_id", "session_id", "note", "external_id")}
    for name in ("shipping_address", "billing_address"):
        values[name] = encode_json(body[name]) if body.get(name) else None
    return values


def _totals(work: UnitOfWork, amounts: Amounts) -> dict[str, Any]:
    names = ("subtotal", "discount_total", "shipping_total", "shipping_tax_total", "tax_total")
    discounts = [
        {
            "id": new_id(work.now),
            "discount_id": applied.discount.id,
            "position": position,
            **{name: getattr(applied.discount, name) for name in ("code", "title", "kind")},
            "amount": applied.amount,
            "line_amounts": applied.line_amounts,
            "shipping_amount": applied.shipping_amount,
        }
        for position, applied in enumerate(amounts.discounts)
    ]
    return {
        **{name: getattr(amounts, name) for name in names},
        "total": amounts.total,
        "tax_included": amounts.tax_included,
        "discounts": encode_json(discounts),
    }


def _lines(
    work: UnitOfWork,
    offers: list[Row[Any]],
    lines: list[dict[str, Any]],
    places: Places,
    goods: list[Goods],
    amounts: Amounts,
) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id(work.now),
            "position": position,
            "product_id": offer.product_id,
            "variant_id": offer.variant_id,
            "location_id": places.get(offer.variant_id),
            "title": offer.title,
            "sku": offer.sku,
            "quantity": line["quantity"],
            "unit_price": offer.price,
            "unit_cost": offer.cost,
            "subtotal": of_goods.subtotal,
            "discount_total": priced.discount_total,
            "tax_rate_ratio": priced.tax_rate_ratio,
            "tax_total": priced.tax_total,
            "total": priced.total,
        }
        for position, (offer, line, of_goods, priced) in enumerate(
            zip(offers, lines, goods, amounts.lines, strict=True)
        )
    ]


def _check_offers(offers: list[Row[Any]], body: dict[str, Any]) -> str:
    """The currency the order is in, once every line can be sold."""
    lines = body["lines"]
    unknown = {i: lines[i]["variant_id"] for i, o in enumerate(offers) if o.variant_id is None}
    if unknown:
        raise errors.variants_not_found(unknown)
    closed = [index for index, offer in enumerate(offers) if offer.status != "active"]
    if closed:
        raise errors.not_for_sale(closed)
    currency: str = offers[0].currency
    if body.get("currency", currency) != currency:
        raise errors.wrong_currency(currency)
    refuse_erased(offers[0])
    return currency


def _count_units(lines: list[dict[str, Any]]) -> dict[UUID, int]:
    units: dict[UUID, int] = defaultdict(int)
    for line in lines:
        units[line["variant_id"]] += line["quantity"]
    return units


def _reserve(
    work: UnitOfWork, order_id: UUID, body: dict[str, Any], units: dict[UUID, int]
) -> tuple[list[Row[Any]], list[Row[Any]]]:
    address = body.get("shipping_address") or {}
    wanted = [
        {"variant_id": variant_id, "wanted": quantity, "movement_id": new_id(work.now)}
        for variant_id, quantity in units.items()
    ]
    offers, levels = work.repository(OrderRepository).reserve(
        {
            "variant_ids": [line["variant_id"] for line in body["lines"]],
            "codes": body.get("discount_codes", []),
            "country": address.get("country"),
            "region": address.get("region"),
            "is_in_person": body.get("session_id") is not None,
            "shipping_rate_id": body.get("shipping_rate_id"),
            "customer_id": body.get("customer_id"),
            "wanted": encode_json(wanted),
            "order_id": order_id,
            "actor": work.origin.actor,
            "now": work.now,
        }
    )
    if any(level.location_id is None for level in levels):
        levels = hold_backorders(work, order_id, levels, units)
    return offers, levels


def _check_stock(
    work: UnitOfWork, offers: list[Any], lines: list[Any], places: Places, *, shows_stock: bool
) -> None:
    """Raise `out_of_stock` unless each variant that is counted has a place."""
    missing = {i: o for i, o in enumerate(offers) if places.get(o.variant_id, o) is None}
    if missing:
        orders = work.repository(OrderRepository)
        ids = {offer.variant_id for offer in missing.values()}
        available = orders.find_available(ids) if shows_stock else None
        raise errors.out_of_stock(missing, available, lines)


def lock_order(work: UnitOfWork, order_id: UUID) -> Row[Any]:
    """The order, locked until the end: whatever changes it, its payments or its goods waits."""
    row = work.repository(OrderRepository).lock(order_id)
    if row is None:
        raise not_found("order")
    return row


def show_order(work: UnitOfWork, order_id: UUID) -> Row[Any]:
    """The order's resource row."""
    row = work.repository(OrderRepository).find(order_id)
    if row is None:
        raise not_found("order")
    return row


def change_order(work: UnitOfWork, before: Row[Any], changes: dict[str, Any]) -> Row[Any]:
    """New note, addresses or external_id. Raises `address_is_final`, `customer_erased`."""
    has_left = before.fulfillment_status not in ("unfulfilled", "partial")
    if "shipping_address" in changes and (has_left or before.status == "cancelled"):
        raise errors.ADDRESS_IS_FINAL
    if changes:
        refuse_erased_buyer(work, before.customer_id)
        values = {**changes, "updated_at": work.now}
        work.repository(OrderRepository).change(before.id, values)
        # what they say may be personal, so only which they are is told
        work.append(
            "order_updated",
            "order",
            before.id,
            {"order_id": str(before.id), "changes": sorted(changes)},
        )
        old = {name: getattr(before, name) for name in changes}
        work.audit("order_updated", "order", before.id, old, changes)
    return show_order(work, before.id)


def cancel_order(work: UnitOfWork, before: Row[Any], reason: str | None, *, restock: bool) -> None:
    """Call a locked order off, its money being settled: what it holds is free again.

    Without `restock` the goods are written off instead: they are not to be sold again.
    """
    orders = work.repository(OrderRepository)
    orders.change(
        before.id,
        {
            "status": "cancelled",
            "cancel_reason": reason,
            "hold_expires_at": None,
            "cancelled_at": work.now,
            "updated_at": work.now,
        },
    )
    held = [(line, line.left_quantity) for line in orders.list_lines(before.id)]
    move_stock(
        work,
        before.id,
        held,
        quantity_sign=0 if restock else -1,
        reserved_sign=-1,
        reason="released" if restock else "adjusted",
    )
    release_discounts(work, before.id)
    announce_move(work, before.id, before.status, "cancelled")
    work.audit(
        "order_cancelled",
        "order",
        before.id,
        {"status": before.status, "cancel_reason": None},
        {"status": "cancelled", "cancel_reason": reason},
    )


def move_stock(
    work: UnitOfWork,
    order_id: UUID,
    lines: list[tuple[Any, int]],
    *,
    quantity_sign: int,
    reserved_sign: int,
    reason: str,
) -> None:
    """Move so many units of each order line, where its stock was reserved, with ledger rows.

    `lines`: with `variant_id` and `location_id`. What is written off was there: a level never falls
    below zero by it.
    """
    units: dict[tuple[UUID, UUID], int] = defaultdict(int)
    for line, quantity in lines:
        if line.location_id is not None and quantity:
            units[line.variant_id, line.location_id] += quantity
    if not units:
        return
    levels = work.repository(OrderRepository).move_stock(
        {
            "moves": encode_json(
                [
                    {
                        "variant_id": variant_id,
                        "location_id": location_id,
                        "quantity_delta": quantity_sign * quantity,
                        "reserved_delta": reserved_sign * quantity,
                    }
                    for (variant_id, location_id), quantity in units.items()
                ]
            ),
            "order_id": order_id,
            "reason": reason,
            "is_write_off": reason == "adjusted",
            "actor": work.origin.actor,
            "now": work.now,
        }
    )
    if len(levels) < len(units):
        raise RuntimeError(f"order {order_id}: {len(units)} levels to move, {len(levels)} found")
    changes = (StockChange(s, s.location_id, s.old_available, s.available_delta) for s in levels)
    announce(work, [change for change in changes if change.delta])


def check_move(before: Row[Any], wanted: str) -> None:
    """Raise `illegal_state_change` unless the order's status may become `wanted`."""
    if wanted not in errors.MOVES[before.status]:
        raise errors.illegal_move(before.status, wanted)


def announce_move(work: UnitOfWork, order_id: UUID, old: str, new: str) -> None:
    """`order_status_changed`, if it has."""
    if old != new:
        moved = {"order_id": str(order_id), "old_status": old, "new_status": new}
        work.append("order_status_changed", "order", order_id, {**moved, "timestamp": work.now})
