"""Money back over HTTP: by line, by quantity, by amount, and never more than was paid."""

from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from tests.api.test_fulfillments import act, read, some
from tests.api.test_order_concurrency import outcomes, together
from tests.api.test_orders import pay, variant_id
from tests.fixtures.api import Shop

ORDERS = "/api/v1/orders"
# three units of 10.00 less 1.00, with 2.00 tax; shipping of 5.00 with 0.50 tax
TAXED = """
UPDATE order_lines SET discount_total = 1, tax_total = 2, total = 31 WHERE order_id = :id;
UPDATE orders SET discount_total = 1, shipping_total = 5, tax_total = 2.5,
    shipping_tax_total = 0.5, total = 36.5 WHERE id = :id;
"""
# the same prices with their tax within
INCLUDED = """
UPDATE order_lines SET discount_total = 1, tax_total = 2, tax_included = true, total = 29
WHERE order_id = :id;
UPDATE orders SET discount_total = 1, shipping_total = 5, tax_total = 2.5,
    shipping_tax_total = 0.5, tax_included = true, total = 34 WHERE id = :id;
"""

# shipping of 10.00, of which 4.00 is tax
HEAVILY_TAXED = """
UPDATE order_lines SET tax_included = true WHERE order_id = :id;
UPDATE orders SET shipping_total = 10, tax_total = 4, shipping_tax_total = 4, tax_included = true,
    total = 40 WHERE id = :id;
"""


def taxed_order(app: App, shop: Shop, amounts: str = TAXED) -> dict[str, Any]:
    """A placed order with discount, tax and shipping."""
    order: dict[str, Any] = shop.order((variant_id(shop.product("10.00", 9)), 3)).json
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        for statement in amounts.split(";")[:-1]:
            session.execute(text(statement), {"id": UUID(order["id"])})
    return read(shop, order)


def amounts_of(refund: dict[str, Any]) -> list[str]:
    return [str(refund[name]) for name in ("amount", "shipping_amount", "tax_amount")]


def test_units_one_by_one_come_to_the_lines_total(app: App, shop: Shop) -> None:
    order = taxed_order(app, shop)
    pay(shop, order)
    found = [act(shop, order, "refunds", some(order, 1)).json for _ in range(3)]
    assert [amounts_of(refund) for refund in found] == [
        ["10.32", "0.00", "0.66"],
        ["10.34", "0.00", "0.67"],
        ["10.34", "0.00", "0.67"],
    ]
    assert found[0]["lines"][0]["amount"] == Decimal("9.66")
    over = act(shop, order, "refunds", some(order, 1))
    assert (over.status, over.code) == (409, "quantity_exceeds_remaining")
    line = read(shop, order)["lines"][0]
    assert (line["refunded_quantity"], line["refunded_total"]) == (3, Decimal("31.00"))
    shipping = act(shop, order, "refunds", {"shipping_amount": 2}).json
    assert amounts_of(shipping) == ["2.20", "2.00", "0.20"]
    too_much = act(shop, order, "refunds", {"shipping_amount": Decimal("3.01")})
    assert (too_much.status, too_much.code) == (409, "shipping_exceeds_refundable")
    rest = act(shop, order, "refunds", {"shipping_amount": 3}).json
    assert amounts_of(rest) == ["3.30", "3.00", "0.30"]
    done = read(shop, order)
    assert (done["payment_status"], done["refunded_total"]) == ("refunded", Decimal("36.50"))
    listed = shop.api.get(f"{ORDERS}/{order['id']}/refunds").json["data"]
    assert listed == [*found, shipping, rest]


def test_prices_that_hold_their_tax_give_it_back_within(app: App, shop: Shop) -> None:
    order = taxed_order(app, shop, INCLUDED)
    pay(shop, order)
    refund = act(shop, order, "refunds", {**some(order, 3), "shipping_amount": 5}).json
    assert amounts_of(refund) == ["34.00", "4.50", "2.50"]
    assert refund["lines"][0]["amount"] == Decimal("27.00")
    assert read(shop, order)["payment_status"] == "refunded"


def test_an_amount_is_goods_with_their_tax_and_then_shipping(app: App, shop: Shop) -> None:
    order = taxed_order(app, shop)
    pay(shop, order)
    part = act(shop, order, "refunds", {"amount": Decimal("15.50"), "reason": "late"}).json
    assert (amounts_of(part), part["lines"]) == (["15.50", "0.00", "1.00"], [])
    rest = act(shop, order, "refunds", {"amount": 21}).json
    assert amounts_of(rest) == ["21.00", "5.00", "1.50"]


def test_goods_are_given_back_once(app: App, shop: Shop) -> None:
    """An amount was for goods first: lines cannot be given back on top of it."""
    order = taxed_order(app, shop)
    pay(shop, order)
    assert act(shop, order, "refunds", {"amount": 31}).status == 201
    over = act(shop, order, "refunds", some(order, 1))
    assert (over.status, over.code) == (409, "amount_exceeds_refundable")
    assert "Only 0.00 USD of the goods is left" in over.json["detail"]
    assert amounts_of(act(shop, order, "refunds", {"shipping_amount": 5}).json)[1] == "5.00"


def test_lines_after_an_amount_come_to_what_was_charged(app: App, shop: Shop) -> None:
    order = taxed_order(app, shop)
    pay(shop, order)
    # 0.05 is 0.05 × 29 ÷ 31 of goods: the line's share of the tax is no longer all there
    act(shop, order, "refunds", {"amount": Decimal("0.05")})
    part = act(shop, order, "refunds", some(order, 2)).json
    assert amounts_of(part) == ["20.66", "0.00", "1.33"]
    assert act(shop, order, "refunds", some(order, 1)).code == "amount_exceeds_refundable"
    rest = act(shop, order, "refunds", {"amount": Decimal("15.79")}).json
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        told = session.execute(
            text(
                "SELECT sum(amount), sum(tax_amount), sum(shipping_amount) FROM refunds"
                " WHERE order_id = :id"
            ),
            {"id": UUID(order["id"])},
        ).one()
    assert tuple(told) == (Decimal("36.5"), Decimal("2.5"), Decimal(5))
    assert rest["amount"] == Decimal("15.79")


def test_no_part_of_a_refund_is_negative(app: App, shop: Shop) -> None:
    """Cents of shipping that hold their tax, of which amounts took other shares."""
    order = taxed_order(app, shop, HEAVILY_TAXED)
    pay(shop, order)
    act(shop, order, "refunds", some(order, 3))
    for _ in range(4):
        assert act(shop, order, "refunds", {"amount": Decimal("0.01")}).status == 201
    for amount in ("0.01", "0.02", "9.93"):
        told = act(shop, order, "refunds", {"shipping_amount": Decimal(amount)})
        assert told.status == 201, told.body
        assert 0 <= told.json["tax_amount"] <= told.json["amount"]
        assert told.json["shipping_amount"] >= 0
    assert read(shop, order)["payment_status"] == "refunded"


def test_money_comes_from_the_newest_payment_first(shop: Shop) -> None:
    order = shop.order((variant_id(shop.product("10.00", 9)), 3)).json
    pay(shop, order, "12.00")
    paid = pay(shop, order, "18.00").json
    old, new = (payment["id"] for payment in paid["payments"])
    named = act(shop, order, "refunds", {"amount": 2, "payment_id": old}).json
    assert named["payments"] == [{"payment_id": old, "amount": Decimal("2.00")}]
    beyond = act(shop, order, "refunds", {"amount": Decimal("10.01"), "payment_id": old})
    assert (beyond.status, beyond.code) == (409, "amount_exceeds_refundable")
    assert "10.00 USD" in beyond.json["detail"]
    unknown = act(shop, order, "refunds", {"amount": 1, "payment_id": order["id"]})
    assert (unknown.status, unknown.code) == (422, "payment_not_found")
    assert unknown.json["errors"][0]["pointer"] == "/payment_id"
    both = act(shop, order, "refunds", {"amount": 20}).json
    taken = {item["payment_id"]: item["amount"] for item in both["payments"]}
    assert taken == {new: Decimal("18.00"), old: Decimal("2.00")}
    after = read(shop, order)
    assert [p["refunded_amount"] for p in after["payments"]] == [Decimal("4.00"), Decimal("18.00")]
    assert (after["payment_status"], after["refunded_total"]) == ("partially_refunded", 22)
    assert act(shop, order, "refunds", {"amount": Decimal("8.01")}).status == 409


@pytest.mark.parametrize(
    "body", [{}, {"amount": 1, "shipping_amount": 1}, {"lines": []}, {"amount": 0}]
)
def test_what_is_no_refund(shop: Shop, body: dict[str, Any]) -> None:
    order = shop.order((variant_id(shop.product()), 1)).json
    assert act(shop, order, "refunds", body).code == "validation_failed"
    assert act(shop, order, "refunds", {"amount": Decimal("0.001")}).code == "inexact_amount"
    # nothing was paid
    assert act(shop, order, "refunds", {"amount": 1}).code == "amount_exceeds_refundable"


def test_thirty_refunds_at_once_never_give_back_more_than_was_paid(shop: Shop) -> None:
    order = shop.order((variant_id(shop.product("10.00", 9)), 3)).json
    pay(shop, order, "12.50")
    pay(shop, order)
    by_amount = partial(act, shop, order, "refunds", {"amount": 3})
    by_line = partial(act, shop, order, "refunds", some(order, 1))
    answers = together(*[by_amount, by_line] * 15)
    refused = {code for (status, code) in outcomes(answers) if status != 201}
    assert refused <= {"amount_exceeds_refundable", "quantity_exceeds_remaining"}
    given = [answer.json for answer in answers if answer.status == 201]
    after = read(shop, order)
    assert sum(refund["amount"] for refund in given) == after["refunded_total"]
    assert Decimal("27.00") < after["refunded_total"] <= Decimal("30.00")
    assert sum(p["refunded_amount"] for p in after["payments"]) == after["refunded_total"]
    by_payment = [item["amount"] for refund in given for item in refund["payments"]]
    assert sum(by_payment) == after["refunded_total"]
