"""Keeping discounts, tax, shipping and exchange rates, and pricing orders by them; knows no HTTP.

The functions that price are pure: amounts in, amounts out. Every amount is exact in the order's
currency, none is negative, and they add up: to the order's total, and from its lines.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.catalog.errors import inexact_amounts
from shop_api.domains.catalog.repository import CatalogRepository
from shop_api.domains.pricing import errors
from shop_api.domains.pricing.repository import (
    EXCHANGE_RATE,
    Discount,
    Noun,
    PricingRepository,
    ShippingRate,
    TaxRate,
    Terms,
)
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.kernel.money import ZERO, allocate, is_exact, round_money
from shop_api.spine.unit_of_work import UnitOfWork

STANDARD = "standard"
# what numeric(18,4) holds; a charge beyond it is cut there and refused with the order's total
CHARGE_LIMIT = Decimal(10) ** 14
GRAMS_PER_KILOGRAM = 1000
AMOUNTS = ("amount", "minimum_subtotal", "price", "price_per_kilogram", "free_from_subtotal")
# the value each kind needs, and no other kind has
VALUE_OF = {"percentage": "percentage", "fixed": "amount", "by_weight": "price_per_kilogram"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """A line to be priced."""

    subtotal: Decimal
    tax_class: str = STANDARD
    weight_grams: int = 0


@dataclass(frozen=True, slots=True)
class PricedLine:
    """What a line comes to."""

    discount_total: Decimal
    tax_rate_ratio: Decimal
    tax_total: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class AppliedDiscount:
    """What a discount took off the goods, by line and in all, and off the shipping."""

    discount: Discount
    amount: Decimal
    line_amounts: list[Decimal]
    shipping_amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """What an order comes to."""

    tax_included: bool
    lines: list[PricedLine]
    discounts: list[AppliedDiscount]
    subtotal: Decimal
    discount_total: Decimal
    shipping_total: Decimal
    shipping_tax_total: Decimal
    tax_total: Decimal
    total: Decimal


def price_order(
    goods: Sequence[Goods],
    *,
    discounts: Sequence[Discount],
    tax_rates: Sequence[TaxRate],
    shipping_rate: ShippingRate | None,
    currency: str,
    tax_included: bool,
) -> Amounts:
    """What the goods come to with `discounts` taken off one after the other, in this order."""
    left = [line.subtotal for line in goods]
    amounts, by_line = [], []
    for discount in discounts:
        amount = _off_goods(discount, sum(left, ZERO), currency)
        parts = allocate(amount, left, currency)
        left = [before - part for before, part in zip(left, parts, strict=True)]
        amounts.append(amount)
        by_line.append(parts)
    shipping = shipping_charge(shipping_rate, goods, sum(left, ZERO), currency)
    applied = []
    for discount, amount, parts in zip(discounts, amounts, by_line, strict=True):
        shipping_amount = shipping if discount.kind == "free_shipping" else ZERO
        shipping -= shipping_amount
        applied.append(AppliedDiscount(discount, amount, parts, shipping_amount))
    lines = []
    for line, amount in zip(goods, left, strict=True):
        ratio = _sum_of_rates(tax_rates, line.tax_class)
        tax = _tax(amount, ratio, currency, tax_included)
        total = amount if tax_included else amount + tax
        lines.append(PricedLine(line.subtotal - amount, ratio, tax, total))
    on_shipping = [rate for rate in tax_rates if rate.applies_to_shipping]
    shipping_ratio = _sum_of_rates(on_shipping, STANDARD)
    shipping_tax = _tax(shipping, shipping_ratio, currency, tax_included)
    total = sum((line.total for line in lines), shipping)
    return Amounts(
        tax_included=tax_included,
        lines=lines,
        discounts=applied,
        subtotal=sum((line.subtotal for line in goods), ZERO),
        discount_total=sum(amounts, ZERO),
        shipping_total=shipping,
        shipping_tax_total=shipping_tax,
        tax_total=sum((line.tax_total for line in lines), shipping_tax),
        total=total if tax_included else total + shipping_tax,
    )


def _off_goods(discount: Discount, left: Decimal, currency: str) -> Decimal:
    """What a discount takes off goods of which `left` remains to be paid."""
    if discount.percentage_ratio is not None:
        return round_money(left * discount.percentage_ratio, currency)
    return min(discount.amount or ZERO, left)


def _sum_of_rates(tax_rates: Sequence[TaxRate], tax_class: str) -> Decimal:
    return sum((rate.rate_ratio for rate in tax_rates if rate.tax_class == tax_class), ZERO)


def _tax(amount: Decimal, ratio: Decimal, currency: str, is_included: bool) -> Decimal:
    """The tax on an amount, or the tax in it."""
    tax = amount - amount / (1 + ratio) if is_included else amount * ratio
    return round_money(tax, currency)


def shipping_charge(
    rate: ShippingRate | None, goods: Sequence[Goods], left: Decimal, currency: str
) -> Decimal:
    """What sending the goods costs, of which `left` remains to be paid."""
    if rate is None:
        return ZERO
    if rate.free_from_subtotal is not None and left >= rate.free_from_subtotal:
        return ZERO
    grams = sum(line.weight_grams for line in goods)
    charge = rate.price
    if rate.price_per_kilogram is not None:
        charge += rate.price_per_kilogram * grams / GRAMS_PER_KILOGRAM
    return round_money(min(charge, CHARGE_LIMIT), currency)


def best_discount(
    candidates: Sequence[Discount],
    goods: Sequence[Goods],
    shipping_rate: ShippingRate | None,
    currency: str,
) -> Discount | None:
    """The one that saves the most on goods and shipping together, the earlier of two that save the
    same; None when none saves anything.
    """
    subtotal = sum((line.subtotal for line in goods), ZERO)
    undiscounted = subtotal + shipping_charge(shipping_rate, goods, subtotal, currency)
    best, saved = None, ZERO
    for discount in candidates:
        due = subtotal - _off_goods(discount, subtotal, currency)
        if discount.kind != "free_shipping":
            due += shipping_charge(shipping_rate, goods, due, currency)
        if undiscounted - due > saved:
            best, saved = discount, undiscounted - due
    return best


def why_not(
    discount: Discount, subtotal: Decimal, currency: str, is_guest: bool, now: datetime
) -> str | None:
    """Why a discount cannot be used on an order; None when it can."""
    if not discount.is_active:
        return "This discount is not active."
    if discount.starts_at is not None and now < discount.starts_at:
        return "This discount has not started yet."
    if discount.ends_at is not None and now >= discount.ends_at:
        return "This discount has expired."
    if discount.usage_limit is not None and discount.used_count >= discount.usage_limit:
        return USED_UP
    if discount.customer_usage_limit is not None and is_guest:
        return "This discount needs a customer: its uses are counted for each."
    if discount.minimum_subtotal is not None and subtotal < discount.minimum_subtotal:
        minimum = round_money(discount.minimum_subtotal, currency)
        return f"This discount needs a subtotal of at least {minimum} {currency}."
    return None


USED_UP = "This discount has been used as often as it may be."
USED_UP_BY_CUSTOMER = "The customer has used this discount as often as they may."


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """What pricing needs to know of an order that is being placed."""

    goods: list[Goods]
    currency: str
    customer_id: UUID | None
    # upper case, none twice
    codes: list[str]
    shipping_rate_id: UUID | None
    country: str | None


def price_placed_order(work: UnitOfWork, order: PlacedOrder, terms: Terms) -> Amounts:
    """What an order comes to, its discounts counted as used.

    A code that cannot be used is refused. An automatic discount whose last use another order took
    meanwhile is left out, and the next best applies.
    """
    subtotal = sum((line.subtotal for line in order.goods), ZERO)
    is_guest = order.customer_id is None
    check_shipping(order, terms.shipping_rate)
    coded = _coded(order, terms, subtotal, work.now)
    automatic = [
        discount
        for discount in terms.discounts
        if discount.code is None
        and why_not(discount, subtotal, order.currency, is_guest, work.now) is None
    ]
    taken: set[UUID] = set()
    while True:
        best = best_discount(automatic, order.goods, terms.shipping_rate, order.currency)
        applied = [best, *coded] if best is not None else coded
        refused = _use(work, applied, taken, order.customer_id)
        if refused is None:
            break
        discount, reason = refused
        if discount.code is not None:
            raise errors.discount_not_applicable(order.codes.index(discount.code), reason)
        automatic.remove(discount)
    return price_order(
        order.goods,
        discounts=applied,
        tax_rates=terms.tax_rates,
        shipping_rate=terms.shipping_rate,
        currency=order.currency,
        tax_included=terms.tax_included,
    )


def _coded(order: PlacedOrder, terms: Terms, subtotal: Decimal, now: datetime) -> list[Discount]:
    """The discounts of the codes sent, in their order; the first that cannot be used is refused."""
    known = {discount.code: discount for discount in terms.discounts}
    is_guest = order.customer_id is None
    for index, code in enumerate(order.codes):
        discount = known.get(code)
        if discount is None:
            raise errors.discount_not_found(index, code)
        reason = why_not(discount, subtotal, order.currency, is_guest, now)
        if reason is None and discount.kind == "free_shipping" and terms.shipping_rate is None:
            reason = "This discount takes off shipping, and the order names no shipping_rate_id."
        if reason is not None:
            raise errors.discount_not_applicable(index, reason)
    return [known[code] for code in order.codes]


def check_shipping(order: PlacedOrder, rate: ShippingRate | None) -> None:
    """Refuse a shipping rate that does not exist or cannot carry the order."""
    if order.shipping_rate_id is None:
        return
    if rate is None:
        raise errors.SHIPPING_RATE_NOT_FOUND
    if not rate.is_active:
        raise errors.shipping_not_applicable("This shipping rate is not active.")
    if rate.countries and order.country not in rate.countries:
        where = order.country or "an order without a shipping address"
        raise errors.shipping_not_applicable(f"This shipping rate is not for {where}.")
    grams = sum(line.weight_grams for line in order.goods)
    if rate.maximum_weight_grams is not None and grams > rate.maximum_weight_grams:
        raise errors.shipping_not_applicable(
            f"The order weighs {grams} g, this shipping rate carries {rate.maximum_weight_grams} g."
        )


def _use(
    work: UnitOfWork, applied: list[Discount], taken: set[UUID], customer_id: UUID | None
) -> tuple[Discount, str] | None:
    """Count a use of each discount not yet `taken`; the first that has none left, and why.

    In the order of their ids: two orders that share discounts never wait in a circle.
    """
    pricing = work.repository(PricingRepository)
    for discount in sorted(applied, key=lambda discount: discount.id.int):
        if discount.id in taken:
            continue
        limit = discount.customer_usage_limit
        if limit is not None and customer_id is not None:
            pricing.lock_discount(discount.id)
            if pricing.count_uses(discount.id, customer_id) >= limit:
                return discount, USED_UP_BY_CUSTOMER
        if not pricing.use_discount(discount.id):
            return discount, USED_UP
        taken.add(discount.id)
    return None


def release_discounts(work: UnitOfWork, order_id: UUID) -> None:
    """Give back the uses of an order that is called off; its row is locked, its stock settled."""
    work.repository(PricingRepository).release_discounts(order_id)


def create(work: UnitOfWork, noun: Noun, body: dict[str, Any]) -> Row[Any]:
    """A discount, or a tax, shipping or exchange rate; its resource row."""
    row_id = new_id(work.now)
    times = {"created_at": work.now, "updated_at": work.now}
    values = {"id": row_id, **_columns(noun, body), **times}
    if "currency" in noun.table.c:
        currency = work.repository(CatalogRepository).tenant_terms().currency
        if noun is EXCHANGE_RATE:
            if body["currency"] == currency:
                raise errors.own_currency(currency)
        else:
            values["currency"] = currency
            _check_values(body["kind"], currency, body, is_new=True)
    pricing = work.repository(PricingRepository)
    pricing.add(noun, values)
    row = _row(pricing, noun, row_id)
    work.append(f"{noun.name}_created", noun.name, row_id, {f"{noun.name}_id": str(row_id)})
    work.audit(f"{noun.name}_created", noun.name, row_id, None, row.body)
    return row


def change(work: UnitOfWork, noun: Noun, before: Row[Any], body: dict[str, Any]) -> Row[Any]:
    """Change what `body` names; the new resource row."""
    if not body:
        return before
    if "kind" in noun.table.c:
        _check_values(before.kind, before.currency, body, is_new=False)
    pricing = work.repository(PricingRepository)
    pricing.change(noun, before.id, {**_columns(noun, body), "updated_at": work.now})
    row = _row(pricing, noun, before.id)
    old, new = _kept(before, body), _kept(row, body)
    changed = [name for name in new if new[name] != old[name]]
    data = {f"{noun.name}_id": str(before.id), "changes": sorted(changed)}
    work.append(f"{noun.name}_updated", noun.name, before.id, data)
    work.audit(f"{noun.name}_updated", noun.name, before.id, before.body, row.body)
    return row


def delete(work: UnitOfWork, noun: Noun, before: Row[Any]) -> None:
    """Delete one. Orders keep what it took off or cost."""
    work.repository(PricingRepository).delete(noun, before.id)
    work.append(f"{noun.name}_deleted", noun.name, before.id, {f"{noun.name}_id": str(before.id)})
    work.audit(f"{noun.name}_deleted", noun.name, before.id, before.body, None)


def _check_values(kind: str, currency: str, body: dict[str, Any], *, is_new: bool) -> None:
    """Refuse amounts with too many digits, and the value of another kind."""
    for of_kind, name in VALUE_OF.items():
        if is_new and of_kind == kind and body.get(name) is None:
            raise errors.missing_value(of_kind, name)
        if of_kind != kind and body.get(name) is not None:
            raise errors.foreign_value(kind, name)
    given = {name: body[name] for name in AMOUNTS if body.get(name) is not None}
    inexact = [f"/{name}" for name, amount in given.items() if not is_exact(amount, currency)]
    if inexact:
        raise inexact_amounts(inexact, currency)


def _columns(noun: Noun, body: dict[str, Any]) -> dict[str, Any]:
    """What is stored: parts of one, where clients write percent or a rate."""
    values = dict(body)
    if values.pop("percentage", None) is not None:
        values["percentage_ratio"] = body["percentage"] / 100
    if "rate" in values and "rate_ratio" in noun.table.c:
        values["rate_ratio"] = values.pop("rate")
    return values


def _kept(row: Row[Any], body: dict[str, Any]) -> dict[str, Any]:
    """The fields of `body` as clients see them in the row."""
    seen = json.loads(row.body, parse_float=Decimal)
    return {name: seen[name] for name in sorted(body)}


def _row(pricing: PricingRepository, noun: Noun, row_id: UUID) -> Row[Any]:
    row = pricing.find(noun, row_id)
    if row is None:
        raise not_found(noun.words)
    return row
