"""What orders come to: amounts add up to the cent, whatever is taken off, taxed or sent."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_api.domains.pricing.repository import Discount, ShippingRate, TaxRate
from shop_api.domains.pricing.service import (
    Amounts,
    Goods,
    best_discount,
    price_order,
    shipping_charge,
    why_not,
)
from shop_api.kernel.money import ZERO, currency_digits, is_exact

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CURRENCIES = ("USD", "JPY", "KWD")
CLASSES = ("standard", "reduced", "zero")


def percent(value: str, **changes: Any) -> Discount:
    ratio = Decimal(value) / 100
    return Discount(id=UUID(int=1), title="x", kind="percentage", percentage_ratio=ratio, **changes)


def fixed(value: str, **changes: Any) -> Discount:
    return Discount(id=UUID(int=2), title="x", kind="fixed", amount=Decimal(value), **changes)


FREE_SHIPPING = Discount(id=UUID(int=3), title="x", kind="free_shipping")


def goods(*subtotals: str, **changes: Any) -> list[Goods]:
    return [Goods(subtotal=Decimal(subtotal), **changes) for subtotal in subtotals]


def rate(value: str, tax_class: str = "standard", on_shipping: bool = False) -> TaxRate:
    return TaxRate(tax_class=tax_class, rate_ratio=Decimal(value), applies_to_shipping=on_shipping)


def flat(price: str, **changes: Any) -> ShippingRate:
    return ShippingRate(name="Post", kind="flat", price=Decimal(price), **changes)


def priced(lines: list[Goods], **terms: Any) -> Amounts:
    defaults: dict[str, Any] = {
        "discounts": [],
        "tax_rates": [],
        "shipping_rate": None,
        "currency": "USD",
        "tax_included": False,
    }
    return price_order(lines, **{**defaults, **terms})


@st.composite
def orders(draw: Callable[[Any], Any]) -> tuple[list[Goods], dict[str, Any]]:
    """Lines and terms of any size that can be stored, from nothing to very much."""
    currency = draw(st.sampled_from(CURRENCIES))
    unit = Decimal(1).scaleb(-currency_digits(currency))
    money = st.one_of(st.integers(0, 50), st.integers(0, 10**6), st.integers(0, 10**15)).map(
        lambda units: units * unit
    )
    ratio = st.integers(0, 10**6).map(lambda parts: Decimal(parts) / 10**6)
    discount = st.one_of(
        st.builds(
            Discount,
            id=st.uuids(),
            title=st.just("x"),
            kind=st.just("percentage"),
            percentage_ratio=ratio,
        ),
        st.builds(Discount, id=st.uuids(), title=st.just("x"), kind=st.just("fixed"), amount=money),
        st.just(FREE_SHIPPING),
    )
    line = st.builds(
        Goods,
        subtotal=money,
        tax_class=st.sampled_from(CLASSES),
        weight_grams=st.integers(0, 10**9),
    )
    tax = st.builds(
        TaxRate,
        tax_class=st.sampled_from(CLASSES),
        rate_ratio=ratio,
        applies_to_shipping=st.booleans(),
    )
    shipping = st.builds(
        ShippingRate,
        name=st.just("x"),
        kind=st.just("by_weight"),
        price=money,
        price_per_kilogram=st.none() | money,
        free_from_subtotal=st.none() | money,
    )
    terms = {
        "discounts": draw(st.lists(discount, max_size=6)),
        "tax_rates": draw(st.lists(tax, max_size=5)),
        "shipping_rate": draw(st.none() | shipping),
        "currency": currency,
        "tax_included": draw(st.booleans()),
    }
    return draw(st.lists(line, min_size=1, max_size=12)), terms


@given(orders())
def test_amounts_add_up(order: tuple[list[Goods], dict[str, Any]]) -> None:
    lines, terms = order
    amounts = price_order(lines, **terms)
    added = ZERO if terms["tax_included"] else amounts.tax_total
    assert amounts.total == (
        amounts.subtotal - amounts.discount_total + amounts.shipping_total + added
    )
    shipping = amounts.shipping_total
    if not terms["tax_included"]:
        shipping += amounts.shipping_tax_total
    assert amounts.total == sum((line.total for line in amounts.lines), shipping)
    assert amounts.discount_total == sum((line.discount_total for line in amounts.lines), ZERO)
    assert amounts.discount_total == sum((applied.amount for applied in amounts.discounts), ZERO)
    assert amounts.tax_total == sum(
        (line.tax_total for line in amounts.lines), amounts.shipping_tax_total
    )
    assert amounts.subtotal == sum((line.subtotal for line in lines), ZERO)


@given(orders())
def test_no_amount_is_negative_inexact_or_more_than_there_is(
    order: tuple[list[Goods], dict[str, Any]],
) -> None:
    lines, terms = order
    amounts = price_order(lines, **terms)
    assert 0 <= amounts.discount_total <= amounts.subtotal
    assert 0 <= amounts.shipping_tax_total <= max(amounts.shipping_total * 5, ZERO)
    found = [amounts.total, amounts.shipping_total, amounts.shipping_tax_total, amounts.tax_total]
    for line, of_line in zip(lines, amounts.lines, strict=True):
        assert 0 <= of_line.discount_total <= line.subtotal
        found += [of_line.total, of_line.tax_total, of_line.discount_total]
        if terms["tax_included"]:
            assert of_line.tax_total <= of_line.total
    for applied in amounts.discounts:
        found += [applied.amount, applied.shipping_amount]
    assert all(amount >= 0 and is_exact(amount, terms["currency"]) for amount in found)


@given(orders())
def test_the_best_discount_leaves_the_least_to_pay(
    order: tuple[list[Goods], dict[str, Any]],
) -> None:
    lines, terms = order
    terms = {**terms, "tax_rates": []}
    candidates = terms.pop("discounts")
    best = best_discount(candidates, lines, terms["shipping_rate"], terms["currency"])
    due = price_order(lines, discounts=[best] if best else [], **terms).total
    assert all(price_order(lines, discounts=[c], **terms).total >= due for c in candidates)
    assert price_order(lines, discounts=[], **terms).total >= due


def test_orders_beyond_what_can_be_stored_are_priced_too() -> None:
    """Their total is refused afterwards: pricing must neither fail nor round them down."""
    most = Decimal("99999999999999")
    heavy = Goods(subtotal=most, weight_grams=2_147_483_647 * 100_000)
    for currency in (*CURRENCIES, "CLF"):
        amounts = priced(
            [heavy] * 200, shipping_rate=flat("1", price_per_kilogram=most), currency=currency
        )
        assert amounts.total >= 10**14


def test_each_discount_takes_off_what_the_ones_before_left() -> None:
    amounts = priced(goods("100.00"), discounts=[percent("10"), fixed("20"), percent("50")])
    assert [a.amount for a in amounts.discounts] == [Decimal(10), Decimal(20), Decimal(35)]
    assert (amounts.discount_total, amounts.total) == (Decimal(65), Decimal(35))


def test_a_fixed_discount_takes_off_what_there_is() -> None:
    amounts = priced(goods("3.00", "4.00"), discounts=[fixed("10"), fixed("10")])
    assert [a.amount for a in amounts.discounts] == [Decimal(7), Decimal(0)]
    assert amounts.total == 0


def test_percentages_are_rounded_half_up_and_shared_by_largest_remainder() -> None:
    amounts = priced(goods("0.35", "0.35", "0.35"), discounts=[percent("10")])
    # 0.105
    assert amounts.discount_total == Decimal("0.11")
    found = [line.discount_total for line in amounts.lines]
    assert found == [Decimal("0.04"), Decimal("0.04"), Decimal("0.03")]


def test_of_two_that_save_the_same_the_older_applies() -> None:
    older, newer = percent("10"), fixed("10")
    assert best_discount([older, newer], goods("100"), None, "USD") is older
    assert best_discount([older, newer], goods("99"), None, "USD") is newer
    assert best_discount([older, newer], goods("0"), None, "USD") is None


def test_free_shipping_competes_with_money_off() -> None:
    rate_of = flat("12.00")
    assert best_discount([percent("10"), FREE_SHIPPING], goods("100"), rate_of, "USD") is (
        FREE_SHIPPING
    )
    assert best_discount([FREE_SHIPPING], goods("100"), None, "USD") is None


def test_a_discount_that_loses_free_shipping_is_not_the_best() -> None:
    rate_of = flat("30.00", free_from_subtotal=Decimal(100))
    assert best_discount([percent("10")], goods("100"), rate_of, "USD") is None


def test_free_shipping_takes_the_charge() -> None:
    amounts = priced(goods("10.00"), discounts=[FREE_SHIPPING], shipping_rate=flat("4.90"))
    assert amounts.discounts[0].shipping_amount == Decimal("4.90")
    assert (amounts.shipping_total, amounts.discount_total) == (ZERO, ZERO)
    assert amounts.total == Decimal(10)


def test_shipping_is_free_from_goods_after_discounts() -> None:
    rate_of = flat("5.00", free_from_subtotal=Decimal(50))
    assert priced(goods("50.00"), shipping_rate=rate_of).shipping_total == 0
    discounted = priced(goods("50.00"), shipping_rate=rate_of, discounts=[fixed("0.01")])
    assert discounted.shipping_total == Decimal(5)


def test_shipping_by_weight() -> None:
    rate_of = ShippingRate(
        name="x", kind="by_weight", price=Decimal(2), price_per_kilogram=Decimal("1.50")
    )
    lines = goods("1.00", "1.00", weight_grams=333)
    # 2 + 1.5 × 0.666
    assert shipping_charge(rate_of, lines, Decimal(2), "USD") == Decimal("3.00")
    assert shipping_charge(rate_of, lines, Decimal(2), "KWD") == Decimal("2.999")


def test_taxes_are_rounded_by_line_on_the_discounted_amount() -> None:
    amounts = priced(
        goods("10.03", "10.03"),
        discounts=[fixed("0.02")],
        tax_rates=[rate("0.2"), rate("0.025"), rate("0.1", "reduced")],
    )
    # 22.5 % of 10.02 is 2.2545
    assert [line.tax_total for line in amounts.lines] == [Decimal("2.25")] * 2
    assert [line.tax_rate_ratio for line in amounts.lines] == [Decimal("0.225")] * 2
    assert amounts.total == Decimal("24.54")


def test_tax_included_is_the_part_within() -> None:
    amounts = priced(
        goods("122.00"),
        tax_rates=[rate("0.22", on_shipping=True)],
        shipping_rate=flat("6.10"),
        tax_included=True,
    )
    assert amounts.lines[0].tax_total == Decimal(22)
    assert amounts.shipping_tax_total == Decimal("1.10")
    assert (amounts.tax_total, amounts.total) == (Decimal("23.10"), Decimal("128.10"))


def test_shipping_is_taxed_by_the_standard_rates_that_say_so() -> None:
    amounts = priced(
        goods("1.00", tax_class="reduced"),
        tax_rates=[
            rate("0.2", on_shipping=True),
            rate("0.05"),
            rate("0.1", "reduced", on_shipping=True),
        ],
        shipping_rate=flat("10.00"),
    )
    assert amounts.shipping_tax_total == Decimal(2)
    assert amounts.tax_total == Decimal("2.10")
    assert amounts.total == Decimal("13.10")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"is_active": False}, "not active"),
        ({"starts_at": NOW}, None),
        ({"starts_at": NOW + timedelta(microseconds=1)}, "not started"),
        ({"ends_at": NOW + timedelta(microseconds=1)}, None),
        ({"ends_at": NOW}, "expired"),
        ({"usage_limit": 2, "used_count": 1}, None),
        ({"usage_limit": 2, "used_count": 2}, "as often as it may be"),
        ({"customer_usage_limit": 1}, "needs a customer"),
        ({"minimum_subtotal": Decimal(100)}, None),
        ({"minimum_subtotal": Decimal("100.01")}, "at least 100.01 USD"),
    ],
)
def test_why_a_discount_cannot_be_used(changes: dict[str, Any], reason: str | None) -> None:
    said = why_not(percent("10", **changes), Decimal(100), "USD", True, NOW)
    assert said is None if reason is None else reason in (said or "")
