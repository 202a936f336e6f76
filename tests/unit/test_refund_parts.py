"""What a refund is made of: parts of an order that add up to the whole, however it is split."""

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_api.domains.payments.repository import PaymentSums
from shop_api.domains.payments.service import payment_status
from shop_api.domains.refunds.service import Parts, amount_parts, shipping_parts, units_parts
from shop_api.kernel.errors import DomainError
from shop_api.kernel.money import currency_digits


@dataclass(frozen=True)
class Line:
    """What of an order line its refunds depend on."""

    quantity: int
    total: Decimal
    tax_total: Decimal
    refunded_quantity: int = 0


@dataclass(frozen=True)
class Order:
    """What of an order its refunds depend on."""

    total: Decimal
    tax_total: Decimal
    shipping_total: Decimal
    shipping_tax_total: Decimal
    tax_included: bool
    currency: str


currencies = st.sampled_from(["USD", "JPY", "KWD"])
units = st.integers(0, 1_000_000)


def money(amount: int, currency: str) -> Decimal:
    return Decimal(amount).scaleb(-currency_digits(currency))


@st.composite
def orders(draw: st.DrawFn) -> Order:
    currency = draw(currencies)
    goods, tax, shipping, shipping_tax = (money(draw(units), currency) for _ in range(4))
    is_included = draw(st.booleans())
    shipping_total = shipping + (shipping_tax if is_included else 0)
    total = goods + tax + shipping + shipping_tax
    return Order(total, tax + shipping_tax, shipping_total, shipping_tax, is_included, currency)


@given(
    currency=currencies,
    goods=units,
    tax=units,
    split=st.lists(st.integers(1, 5), min_size=1, max_size=12),
)
def test_units_taken_in_any_split_come_to_the_lines_total(
    currency: str, goods: int, tax: int, split: list[int]
) -> None:
    line = Line(sum(split), money(goods + tax, currency), money(tax, currency))
    parts = Parts()
    for quantity in split:
        taken = units_parts(line, quantity, currency)
        assert min(taken.goods, taken.tax) >= 0
        parts += taken
        line = replace(line, refunded_quantity=line.refunded_quantity + quantity)
    assert (parts.goods, parts.tax) == (money(goods, currency), money(tax, currency))


@given(order=orders(), cuts=st.lists(st.integers(0, 100), max_size=5))
def test_shipping_taken_in_any_split_comes_to_what_was_charged(
    order: Order, cuts: list[int]
) -> None:
    whole = int(order.shipping_total.scaleb(currency_digits(order.currency)))
    edges = sorted({whole * cut // 100 for cut in cuts} | {whole})
    so_far, start = Parts(), 0
    for edge in edges:
        if edge > start:
            so_far += shipping_parts(order, so_far, money(edge - start, order.currency))
            start = edge
    if whole:
        added = Decimal(0) if order.tax_included else order.shipping_tax_total
        assert so_far.shipping_tax == order.shipping_tax_total
        assert so_far.amount == order.shipping_total + added
    with pytest.raises(DomainError, match="shipping_exceeds_refundable"):
        shipping_parts(order, so_far, money(1, order.currency))


@given(order=orders(), cuts=st.lists(st.integers(0, 100), max_size=5))
def test_amounts_in_any_split_come_to_the_orders_parts(order: Order, cuts: list[int]) -> None:
    whole = int(order.total.scaleb(currency_digits(order.currency)))
    edges = sorted({whole * cut // 100 for cut in cuts} | {whole})
    so_far, start = Parts(), 0
    for edge in edges:
        amount = money(edge - start, order.currency)
        taken = amount_parts(order, so_far, amount)
        assert taken.amount == amount
        assert min(taken.goods, taken.tax, taken.shipping, taken.shipping_tax) >= 0
        so_far += taken
        start = edge
    shipping = order.shipping_total - (order.shipping_tax_total if order.tax_included else 0)
    assert so_far.tax + so_far.shipping_tax == order.tax_total
    assert (so_far.shipping, so_far.shipping_tax) == (shipping, order.shipping_tax_total)


@pytest.mark.parametrize(
    ("captured", "authorized", "captures", "refunded", "expected"),
    [
        (0, 0, 0, 0, "unpaid"),
        (0, 5, 0, 0, "authorized"),
        (0, 10, 0, 0, "authorized"),
        (5, 0, 1, 0, "partially_paid"),
        (5, 5, 1, 0, "partially_paid"),
        (10, 0, 2, 0, "paid"),
        (11, 0, 1, 0, "paid"),
        (10, 0, 1, 1, "partially_refunded"),
        (10, 0, 1, 10, "refunded"),
        (5, 0, 1, 5, "refunded"),
        (5, 10, 1, 5, "authorized"),
    ],
)
def test_the_payment_status_follows_from_payments_and_refunds(
    captured: int, authorized: int, captures: int, refunded: int, expected: str
) -> None:
    sums = PaymentSums(
        Decimal(captured), Decimal(authorized), Decimal(7), captures, Decimal(refunded)
    )
    assert payment_status(Decimal(10), sums) == expected


def test_a_free_order_is_paid() -> None:
    nothing = Decimal(0)
    for captures in (0, 1):
        sums = PaymentSums(nothing, nothing, nothing, captures, nothing)
        assert payment_status(nothing, sums) == "paid"
