"""What orders come to, worked out a second time from nothing but the definitions, in fractions."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from hypothesis import given, settings

from shop_api.domains.pricing.repository import ShippingRate, TaxRate
from shop_api.domains.pricing.service import Goods, price_order
from shop_api.kernel.money import currency_digits
from tests.unit.test_pricing import orders


def half_up(amount: Fraction, unit: Fraction) -> Fraction:
    return (amount / unit + Fraction(1, 2)) // 1 * unit


def largest_remainder(total: Fraction, weights: list[Fraction], unit: Fraction) -> list[Fraction]:
    weight_sum = sum(weights)
    if not weight_sum:
        return [total, *weights[1:]]
    shares = [total / unit * weight / weight_sum for weight in weights]
    parts = [Fraction(share // 1) for share in shares]
    missing = int(total / unit - sum(parts))
    for i in sorted(range(len(shares)), key=lambda i: (parts[i] - shares[i], i))[:missing]:
        parts[i] += 1
    return [part * unit for part in parts]


def charge(
    rate: ShippingRate | None, goods: Sequence[Goods], left: Fraction, unit: Fraction
) -> Fraction:
    if rate is None:
        return Fraction(0)
    if rate.free_from_subtotal is not None and left >= Fraction(rate.free_from_subtotal):
        return Fraction(0)
    kilograms = Fraction(sum(line.weight_grams for line in goods), 1000)
    amount = Fraction(rate.price) + Fraction(rate.price_per_kilogram or 0) * kilograms
    return half_up(min(amount, Fraction(10**14)), unit)


def summed(tax_rates: Sequence[TaxRate], tax_class: str, *, of_shipping: bool) -> Fraction:
    return sum(
        (
            Fraction(rate.rate_ratio)
            for rate in tax_rates
            if rate.tax_class == tax_class and (rate.applies_to_shipping or not of_shipping)
        ),
        Fraction(0),
    )


@settings(max_examples=300)
@given(order=orders())
def test_an_order_comes_to_what_its_definition_says(
    order: tuple[list[Goods], dict[str, Any]],
) -> None:
    goods, terms = order
    unit = Fraction(1, 10 ** currency_digits(terms["currency"]))
    left = [Fraction(line.subtotal) for line in goods]
    for discount in terms["discounts"]:
        off = min(Fraction(discount.amount or 0), sum(left, Fraction(0)))
        if discount.percentage_ratio is not None:
            off = half_up(sum(left, Fraction(0)) * Fraction(discount.percentage_ratio), unit)
        parts = largest_remainder(off, left, unit)
        left = [before - part for before, part in zip(left, parts, strict=True)]
    shipping = charge(terms["shipping_rate"], goods, sum(left, Fraction(0)), unit)
    if any(discount.kind == "free_shipping" for discount in terms["discounts"]):
        shipping = Fraction(0)

    def tax(amount: Fraction, ratio: Fraction) -> Fraction:
        return half_up(amount * ratio / (1 + ratio if terms["tax_included"] else 1), unit)

    rates = terms["tax_rates"]
    taxes = [
        tax(amount, summed(rates, line.tax_class, of_shipping=False))
        for line, amount in zip(goods, left, strict=True)
    ]
    shipping_tax = tax(shipping, summed(rates, "standard", of_shipping=True))
    added = Fraction(0) if terms["tax_included"] else sum(taxes) + shipping_tax

    amounts = price_order(goods, **terms)
    assert [Fraction(line.subtotal) - amount for line, amount in zip(goods, left, strict=True)] == [
        line.discount_total for line in amounts.lines
    ]
    assert [line.tax_total for line in amounts.lines] == taxes
    subtotal = sum((Fraction(line.subtotal) for line in goods), Fraction(0))
    found = (amounts.subtotal, amounts.discount_total, amounts.shipping_total, amounts.tax_total)
    expected = (subtotal, subtotal - sum(left), shipping, sum(taxes) + shipping_tax)
    assert [Fraction(amount) for amount in found] == [*expected]
    assert amounts.shipping_tax_total == shipping_tax
    assert amounts.total == sum(left) + shipping + added
