"""Goods of orders: handed over in parts, taken back, and the stock that goes with them."""

from functools import partial
from typing import Any

from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.providers import simulated
from tests.api import test_payments as payments
from tests.api.test_order_concurrency import outcomes, together
from tests.api.test_orders import move, pay, stock, variant_id
from tests.fixtures.api import Answered, Shop

ORDERS = "/api/v1/orders"


def act(shop: Shop, order: dict[str, Any], noun: str, body: Any = None) -> Answered:
    return shop.api.post(f"{ORDERS}/{order['id']}/{noun}", body)


def some(order: dict[str, Any], *quantities: int, **more: Any) -> dict[str, Any]:
    """So many of each of the first lines."""
    lines = [
        {"line_id": line["id"], "quantity": quantity, **more}
        for line, quantity in zip(order["lines"], quantities, strict=False)
        if quantity
    ]
    return {"lines": lines}


def read(shop: Shop, order: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = shop.api.get(f"{ORDERS}/{order['id']}").json
    return found


def ledger(app: App, shop: Shop) -> list[tuple[str, int, int]]:
    """(reason, quantity_delta, reserved_delta), summed by reason."""
    query = (
        "SELECT reason, sum(quantity_delta)::int, sum(reserved_delta)::int FROM stock_movements"
        " WHERE order_id IS NOT NULL GROUP BY reason ORDER BY reason"
    )
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        return [(row[0], row[1], row[2]) for row in session.execute(text(query))]


def test_goods_leave_in_parts_and_come_back(app: App, shop: Shop) -> None:
    first, second = shop.product(quantity=9), shop.product(quantity=5)
    order = shop.order((variant_id(first), 4), (variant_id(second), 2)).json
    early = act(shop, order, "fulfillments")
    assert (early.status, early.code) == (409, "illegal_state_change")
    assert early.json["detail"] == (
        "A pending order cannot be fulfilled: a payment or authorization of what is due comes"
        f" first, {order['due_total']} USD (`due_total`). It may become: processing, cancelled."
    )
    pay(shop, order)
    part = act(
        shop,
        order,
        "fulfillments",
        {**some(order, 3), "carrier": "DHL", "tracking_number": "JJD1"},
    )
    assert part.status == 201
    assert (part.json["carrier"], part.json["tracking_url"]) == ("DHL", None)
    assert part.json["lines"] == [{"line_id": order["lines"][0]["id"], "quantity": 3}]
    assert read(shop, order)["fulfillment_status"] == "partial"
    assert (stock(shop, first), stock(shop, second)) == ((6, 1), (5, 2))
    over = act(shop, order, "fulfillments", some(order, 2, 2))
    assert (over.status, over.code) == (409, "quantity_exceeds_remaining")
    assert over.json["errors"] == [
        {"pointer": "/lines/0/quantity", "detail": "1 left to be fulfilled."}
    ]
    rest = act(shop, order, "fulfillments")
    assert [line["quantity"] for line in rest.json["lines"]] == [1, 2]
    assert act(shop, order, "fulfillments").code == "nothing_to_fulfill"
    done = move(shop, order, "complete").json
    assert (done["status"], done["fulfillment_status"]) == ("completed", "fulfilled")
    assert (stock(shop, first), stock(shop, second)) == ((5, 0), (3, 0))
    listed = shop.api.get(f"{ORDERS}/{order['id']}/fulfillments").json["data"]
    assert listed == [part.json, rest.json]

    back = act(shop, order, "returns", {**some(order, 1), "reason": "Too small"}).json
    assert (back["reason"], back["lines"][0]["is_restocked"]) == ("Too small", True)
    broken = act(shop, order, "returns", some(order, 3, 1, restock=False)).json
    assert (stock(shop, first), stock(shop, second)) == ((6, 0), (3, 0))
    assert read(shop, order)["fulfillment_status"] == "fulfilled"
    assert act(shop, order, "returns", some(order, 1)).code == "quantity_exceeds_remaining"
    act(shop, order, "returns", some(order, 0, 1))
    assert read(shop, order)["fulfillment_status"] == "returned"
    listed = shop.api.get(f"{ORDERS}/{order['id']}/returns").json["data"]
    assert listed[:2] == [back, broken]
    assert ledger(app, shop) == [("reserved", 0, 6), ("returned", 2, 0), ("sold", -6, -6)]


def test_lines_that_cannot_be_named(shop: Shop) -> None:
    product = shop.product(quantity=9)
    order, other = (shop.order((variant_id(product), 2)).json for _ in range(2))
    pay(shop, order)
    foreign = some(other, 1)
    for noun in ("fulfillments", "returns", "refunds"):
        refused = act(shop, order, noun, foreign)
        assert (refused.status, refused.code) == (422, "line_not_found")
        assert refused.json["errors"][0]["pointer"] == "/lines/0/line_id"
        twice = {"lines": some(order, 1)["lines"] * 2}
        assert act(shop, order, noun, twice).code == "validation_failed"
    # nothing has left, so nothing comes back
    assert act(shop, order, "returns", some(order, 1)).code == "quantity_exceeds_remaining"


def test_nothing_leaves_that_no_money_is_there_for(shop: Shop) -> None:
    product = shop.product("10.00", quantity=9)
    order = shop.order((variant_id(product), 3)).json
    held = payments.pay(shop, order, simulated.AUTHORIZED_ONLY).json
    payments.move(shop, held, 0, "void")
    for noun, body in (
        ("fulfillments", None),
        ("fulfillments", some(order, 1)),
        ("complete", None),
    ):
        refused = act(shop, order, noun, body)
        assert (refused.status, refused.code) == (409, "payment_required")
        assert "first, 30.00 USD (`due_total`). Take one" in refused.json["detail"]
    pay(shop, order, "12.00")
    assert act(shop, order, "fulfillments").code == "payment_required"
    pay(shop, order)
    act(shop, order, "refunds", {"amount": 30})
    refused = act(shop, order, "complete")
    assert (refused.status, refused.code) == (409, "order_refunded")
    assert stock(shop, product) == (9, 3)


def test_refunded_units_stay(app: App, shop: Shop) -> None:
    product = shop.product("10.00", quantity=9)
    order = shop.order((variant_id(product), 5)).json
    pay(shop, order)
    act(shop, order, "fulfillments", some(order, 2))
    act(shop, order, "refunds", some(order, 2))
    assert stock(shop, product) == (7, 1)
    over = act(shop, order, "fulfillments", some(order, 2))
    assert (over.status, over.code) == (409, "quantity_exceeds_remaining")
    # what came back is refunded before what has not left
    act(shop, order, "returns", some(order, 1))
    act(shop, order, "refunds", some(order, 1))
    found = read(shop, order)
    line = found["lines"][0]
    assert (line["refunded_quantity"], line["cancelled_quantity"]) == (3, 2)
    assert found["fulfillment_status"] == "partial"
    sent = act(shop, order, "fulfillments").json
    assert sent["lines"][0]["quantity"] == 1
    assert read(shop, order)["fulfillment_status"] == "fulfilled"
    act(shop, order, "returns", some(order, 2))
    assert read(shop, order)["fulfillment_status"] == "returned"
    assert act(shop, order, "fulfillments").code == "nothing_to_fulfill"
    assert act(shop, order, "refunds", some(order, 2)).status == 201
    assert read(shop, order)["lines"][0]["cancelled_quantity"] == 2
    assert stock(shop, product) == (9, 0)
    assert ledger(app, shop) == [
        ("released", 0, -2),
        ("reserved", 0, 5),
        ("returned", 3, 0),
        ("sold", -3, -3),
    ]


def test_the_last_units_left_may_be_refunded_or_written_off(app: App, shop: Shop) -> None:
    product = shop.product("10.00", quantity=9)
    sent, kept = (shop.order((variant_id(product), 3)).json for _ in range(2))
    for order in (sent, kept):
        pay(shop, order)
    act(shop, sent, "fulfillments", some(sent, 2))
    act(shop, sent, "refunds", some(sent, 1))
    assert read(shop, sent)["fulfillment_status"] == "fulfilled"
    assert act(shop, sent, "cancel").code == "illegal_state_change"
    assert move(shop, sent, "complete").json["status"] == "completed"
    # only what is still held is written off
    act(shop, kept, "refunds", some(kept, 1))
    assert act(shop, kept, "cancel", {"restock": False}).status == 200
    assert stock(shop, product) == (5, 0)


def test_the_same_units_leave_and_come_back_once(shop: Shop) -> None:
    product = shop.product(quantity=9)
    order = shop.order((variant_id(product), 5)).json
    pay(shop, order)
    for noun, left in (("fulfillments", (4, 0)), ("returns", (9, 0))):
        call = partial(act, shop, order, noun, some(order, 1))
        found = outcomes(together(*[call] * 8))
        assert found == {(201, ""): 5, (409, "quantity_exceeds_remaining"): 3}
        assert stock(shop, product) == left


def test_a_tracking_url_is_one(shop: Shop) -> None:
    order = shop.order((variant_id(shop.product()), 1)).json
    pay(shop, order)
    for url in ("javascript:alert(1)", "not a url", "ftp://example.com/x"):
        assert act(shop, order, "fulfillments", {"tracking_url": url}).code == "validation_failed"
    url = "https://example.com/track/1"
    assert act(shop, order, "fulfillments", {"tracking_url": url}).json["tracking_url"] == url


def test_an_address_can_be_changed_until_the_goods_have_left(shop: Shop) -> None:
    order = shop.order((variant_id(shop.product()), 2)).json
    path = f"{ORDERS}/{order['id']}"
    address = {"line1": "Via Roma 1", "city": "Torino", "country": "IT"}
    changes = {
        "note": "Ring twice",
        "external_id": "x-9",
        "shipping_address": address,
        "billing_address": address,
    }
    etag = shop.api.get(path).headers["ETag"]
    changed = shop.api.patch(path, changes, headers={"If-Match": etag}).json
    assert (changed["note"], changed["external_id"]) == ("Ring twice", "x-9")
    assert changed["billing_address"]["city"] == changed["shipping_address"]["city"] == "Torino"
    stale = shop.api.patch(path, {"note": None}, headers={"If-Match": etag})
    assert stale.status == 412
    pay(shop, order)
    move(shop, order, "complete")
    refused = shop.api.patch(path, {"shipping_address": address})
    assert (refused.status, refused.code) == (409, "address_is_final")
    cleared = shop.api.patch(path, {"note": None, "billing_address": None}).json
    assert (cleared["note"], cleared["billing_address"]) == (None, None)
