"""Giving money back; knows no HTTP. The order is locked by whoever calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.db.json import encode_json
from shop_api.domains.fulfillments.service import fulfillment_status
from shop_api.domains.orders.errors import inexact_amount, lines_not_found, too_many_units
from shop_api.domains.orders.repository import OrderRepository
from shop_api.domains.orders.service import move_stock
from shop_api.domains.payments.repository import PaymentRepository
from shop_api.domains.payments.service import (
    amount_owed,
    find_payment,
    renew_hold,
    settle_order,
)
from shop_api.domains.refunds import errors
from shop_api.domains.refunds.repository import RefundRepository
from shop_api.kernel.ids import new_id
from shop_api.kernel.money import ZERO, allocate, currency_digits, is_exact, round_money
from shop_api.providers import PROVIDERS
from shop_api.spine.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Parts:
    """An amount of money by what it is for; goods and shipping before tax."""

    goods: Decimal = ZERO
    tax: Decimal = ZERO
    shipping: Decimal = ZERO
    shipping_tax: Decimal = ZERO

    @property
    def amount(self) -> Decimal:
        return self.goods + self.tax + self.shipping + self.shipping_tax

    def __add__(self, other: "Parts") -> "Parts":
        return Parts(
            self.goods + other.goods,
            self.tax + other.tax,
            self.shipping + other.shipping,
            self.shipping_tax + other.shipping_tax,
        )


@dataclass(frozen=True, slots=True)
class LineRefund:
    """What is given back for some units of an order line."""

    line: Row[Any]
    quantity: int
    parts: Parts


def share(whole: Decimal, part: Decimal | int, of: Decimal | int, currency: str) -> Decimal:
    """`whole` × part ÷ of, rounded down to the currency's digits; all of it when part = of.

    Differences of it add up: whoever takes units one by one gets in all what they cost together.
    """
    if part >= of:
        return whole
    unit = Decimal(1).scaleb(-currency_digits(currency))
    return (whole * part / of).quantize(unit, rounding=ROUND_FLOOR)


def units_parts(line: Any, quantity: int, currency: str) -> Parts:
    """What `quantity` further units of a line are worth, after those refunded already."""
    start, end = line.refunded_quantity, line.refunded_quantity + quantity

    def between(whole: Decimal) -> Decimal:
        up_to_end = share(whole, end, line.quantity, currency)
        return up_to_end - share(whole, start, line.quantity, currency)

    return Parts(goods=between(line.total - line.tax_total), tax=between(line.tax_total))


def shipping_parts(order: Any, so_far: Parts, amount: Decimal) -> Parts:
    """`amount` of an order's shipping_total with its share of tax, added or held by it."""
    taken = so_far.shipping + (so_far.shipping_tax if order.tax_included else ZERO)
    left = order.shipping_total - taken
    if amount > left:
        raise errors.shipping_exceeds_refundable(left, order.currency)
    due = share(order.shipping_tax_total, taken + amount, order.shipping_total, order.currency)
    tax = max(due - so_far.shipping_tax, ZERO)
    if order.tax_included:
        # amounts that named nothing may have taken more of the one than their share
        net_left = order.shipping_total - order.shipping_tax_total - so_far.shipping
        tax = min(max(tax, amount - net_left), amount)
    return Parts(shipping=amount - tax if order.tax_included else amount, shipping_tax=tax)


def parts_left(order: Any, so_far: Parts) -> Parts:
    """What is left of what the order was charged for; never below zero."""
    shipping = order.shipping_total - (order.shipping_tax_total if order.tax_included else ZERO)
    return Parts(
        max(order.total - order.tax_total - shipping - so_far.goods, ZERO),
        max(order.tax_total - order.shipping_tax_total - so_far.tax, ZERO),
        max(shipping - so_far.shipping, ZERO),
        max(order.shipping_tax_total - so_far.shipping_tax, ZERO),
    )


def amount_parts(order: Any, so_far: Parts, amount: Decimal) -> Parts:
    """What an amount that names no lines is for: goods with their tax, then shipping with its."""
    found = parts_left(order, so_far)
    left = [found.goods, found.tax, found.shipping, found.shipping_tax]
    of_goods = min(amount, left[0] + left[1])
    of_shipping = min(amount - of_goods, left[2] + left[3])
    rest = amount - of_goods - of_shipping
    return Parts(
        *allocate(of_goods, left[:2], order.currency),
        *allocate(of_shipping, left[2:], order.currency),
    ) + Parts(goods=rest)


def within(items: list[LineRefund], left: Parts, currency: str) -> list[LineRefund]:
    """The line refunds with no more goods and no more tax than is left of each.

    Amounts that named no lines took of both by their share, rounded: what lines are worth may then
    be a cent too much of the one and a cent too little of the other. Raises
    `amount_exceeds_refundable` when they are worth more than is left of both.
    """
    parts = sum((item.parts for item in items), Parts())
    if parts.amount > left.goods + left.tax:
        raise errors.goods_exceed_refundable(left.goods + left.tax, currency)
    shift = max(parts.tax - left.tax, ZERO) - max(parts.goods - left.goods, ZERO)
    moved = []
    for item in items:
        step = min(max(shift, -item.parts.goods), item.parts.tax)
        shift -= step
        changed = Parts(goods=item.parts.goods + step, tax=item.parts.tax - step)
        moved.append(LineRefund(item.line, item.quantity, changed))
    return moved


def units_staying(order: Any, line: Any, quantity: int) -> int:
    """How many of `quantity` further refunded units never leave.

    Units that came back are refunded first, then those that have not left.
    """
    if order.status not in ("pending", "processing"):
        return 0
    refunded_of_sent = line.refunded_quantity - line.cancelled_quantity
    of_returned = max(line.returned_quantity - refunded_of_sent, 0)
    return max(min(quantity - of_returned, line.left_quantity), 0)


def refund_order(
    work: UnitOfWork, order: Row[Any], body: dict[str, Any], hold: timedelta
) -> Row[Any]:
    """Give back what lines and shipping cost, or an amount; the refund's row.

    Refunded units that have not left stay, their stock is free. `hold`: for how long the order
    keeps its stock when no money is left in it. Raises `line_not_found`, `payment_not_found`,
    `quantity_exceeds_remaining`, `shipping_exceeds_refundable`, `amount_exceeds_refundable` or
    `inexact_amount`.
    """
    row = _give_back(work, order, body)
    renew_hold(work, order, hold)
    return row


def _give_back(work: UnitOfWork, order: Row[Any], body: dict[str, Any]) -> Row[Any]:
    for name in ("amount", "shipping_amount"):
        if name in body and not is_exact(body[name], order.currency):
            raise inexact_amount(order.currency, f"/{name}")
    so_far = _refunded(work, order)
    of_lines: list[LineRefund] = []
    if "amount" in body:
        parts = amount_parts(order, so_far, body["amount"])
    else:
        wanted = _line_refunds(work, order, body.get("lines", []))
        # what was given back before the order was paid was paid again, on top of its total
        again = Parts(goods=max(order.paid_total - order.total, ZERO))
        of_lines = within(wanted, parts_left(order, so_far) + again, order.currency)
        parts = sum((item.parts for item in of_lines), Parts())
        if "shipping_amount" in body:
            parts += shipping_parts(order, so_far, body["shipping_amount"])
    sources = work.repository(RefundRepository).list_captured(order.id)
    if "payment_id" in body:
        if work.repository(PaymentRepository).find(order.id, body["payment_id"]) is None:
            raise errors.PAYMENT_NOT_FOUND
        sources = [source for source in sources if source.id == body["payment_id"]]
    _check_refundable(order, sources, parts.amount)
    taken = _take(sources, parts.amount)
    for source, amount in taken:
        PROVIDERS[source.provider].refund(source.reference, amount)
    return _record(work, order, parts, of_lines, taken, body.get("reason"))


def refund_rest(work: UnitOfWork, order: Row[Any], reason: str | None) -> None:
    """Give back all that is left of an order's payments."""
    sources = work.repository(RefundRepository).list_captured(order.id)
    left = min(
        order.paid_total - order.refunded_total,
        sum((source.amount - source.refunded_amount for source in sources), ZERO),
    )
    if left > 0:
        _give_back(work, order, {"amount": left, "reason": reason})


def record_told_refund(work: UnitOfWork, order: Row[Any], payment_id: UUID, told: Decimal) -> bool:
    """Record what a provider says it has refunded of a payment in all; False when that is no news.

    The provider is not called: it has given the money back already.
    """
    payment = find_payment(work, order, payment_id)
    amount = told - payment.refunded_amount
    if payment.status != "captured" or amount <= 0:
        return False
    _check_refundable(order, [payment], amount)
    parts = amount_parts(order, _refunded(work, order), amount)
    _record(work, order, parts, [], [(payment, amount)], "told by the provider")
    return True


def _refunded(work: UnitOfWork, order: Row[Any]) -> Parts:
    sums = work.repository(RefundRepository).sums(order.id)
    tax = sums.tax - sums.shipping_tax
    goods = sums.amount - sums.shipping - sums.tax
    return Parts(goods, tax, sums.shipping, sums.shipping_tax)


def _line_refunds(
    work: UnitOfWork, order: Row[Any], wanted: list[dict[str, Any]]
) -> list[LineRefund]:
    by_id = {line.id: line for line in work.repository(OrderRepository).list_lines(order.id)}
    ids = [item["line_id"] for item in wanted]
    unknown = {index: line_id for index, line_id in enumerate(ids) if line_id not in by_id}
    if unknown:
        raise lines_not_found(unknown)
    left = {line.id: line.quantity - line.refunded_quantity for line in by_id.values()}
    over = {
        index: left[item["line_id"]]
        for index, item in enumerate(wanted)
        if item["quantity"] > left[item["line_id"]]
    }
    if over:
        raise too_many_units(over, "refunded")
    return [
        LineRefund(
            by_id[item["line_id"]],
            item["quantity"],
            units_parts(by_id[item["line_id"]], item["quantity"], order.currency),
        )
        for item in wanted
    ]


def _check_refundable(order: Row[Any], sources: Sequence[Row[Any]], amount: Decimal) -> None:
    """Never more than was paid and not refunded, of the order and of the payments together."""
    left = min(
        order.paid_total - order.refunded_total,
        sum((source.amount - source.refunded_amount for source in sources), ZERO),
    )
    if amount > left:
        raise errors.amount_exceeds_refundable(left, order.currency)


def _take(sources: list[Row[Any]], amount: Decimal) -> list[tuple[Row[Any], Decimal]]:
    """From which payments the money comes, the first of them first."""
    taken = []
    for source in sources:
        part = min(amount, source.amount - source.refunded_amount)
        if part > 0:
            taken.append((source, part))
            amount -= part
    return taken


def _record(
    work: UnitOfWork,
    order: Row[Any],
    parts: Parts,
    of_lines: list[LineRefund],
    taken: list[tuple[Row[Any], Decimal]],
    reason: str | None,
) -> Row[Any]:
    refund_id = new_id(work.now)
    staying = [(item.line, units_staying(order, item.line, item.quantity)) for item in of_lines]
    _owe_again(work, order, parts.amount - sum((item.parts.amount for item in of_lines), ZERO))
    repository = work.repository(RefundRepository)
    repository.add(
        {
            "id": refund_id,
            "order_id": order.id,
            "amount": parts.amount,
            "shipping_amount": parts.shipping,
            "tax_amount": parts.tax + parts.shipping_tax,
            "shipping_tax_amount": parts.shipping_tax,
            "currency": order.currency,
            "reason": reason,
            "lines": encode_json(
                [
                    {
                        "id": new_id(work.now),
                        "line_id": item.line.id,
                        "quantity": item.quantity,
                        "cancelled_quantity": cancelled,
                        "amount": item.parts.goods,
                        "tax_amount": item.parts.tax,
                    }
                    for item, (_, cancelled) in zip(of_lines, staying, strict=True)
                ]
            ),
            "payments": encode_json(
                [{"payment_id": source.id, "amount": amount} for source, amount in taken]
            ),
            "now": work.now,
        }
    )
    settle_order(
        work,
        order,
        "order_refunded",
        {
            "refund_id": str(refund_id),
            "amount": round_money(parts.amount, order.currency),
            "currency": order.currency,
            **_keep_units(work, order, staying),
        },
    )
    return repository.get(refund_id)


def _owe_again(work: UnitOfWork, order: Row[Any], amount: Decimal) -> None:
    """Have what names no units paid again when the order is not paid yet."""
    if amount and amount_owed(order, work.repository(PaymentRepository).sums(order.id)) > 0:
        work.repository(OrderRepository).change(
            order.id, {"owed_again_total": order.owed_again_total + amount}
        )


def _keep_units(
    work: UnitOfWork, order: Row[Any], staying: list[tuple[Row[Any], int]]
) -> dict[str, str]:
    """Free the stock of refunded units that have not left; the fulfillment_status, if it moved."""
    if not any(quantity for _, quantity in staying):
        return {}
    move_stock(work, order.id, staying, quantity_sign=0, reserved_sign=-1, reason="released")
    orders = work.repository(OrderRepository)
    status = fulfillment_status(orders.list_lines(order.id))
    if status == order.fulfillment_status:
        return {}
    orders.change(order.id, {"fulfillment_status": status})
    return {"fulfillment_status": status}
