"""An order's life over HTTP: placed, paid, completed or cancelled; amounts and stock exact."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from tests.factories.pricing import percent_off, place
from tests.fixtures.api import Answered, ApiClient, Shop, open_shop

ORDERS = "/api/v1/orders"


def variant_id(product: dict[str, Any], index: int = 0) -> str:
    found: str = product["variants"][index]["id"]
    return found


def stock(shop: Shop, product: dict[str, Any], index: int = 0) -> tuple[int, int]:
    """(quantity, reserved) of a variant."""
    body = shop.api.get(f"/api/v1/products/{product['id']}").json
    inventory = body["variants"][index]["inventory"]
    assert inventory["available_quantity"] == (
        inventory["quantity"] - inventory["reserved_quantity"]
    )
    return inventory["quantity"], inventory["reserved_quantity"]


def pay(shop: Shop, order: dict[str, Any], amount: str | None = None, **body: Any) -> Answered:
    if amount is not None:
        body["amount"] = Decimal(amount)
    return shop.api.post(f"{ORDERS}/{order['id']}/payments", {"method": "cash", **body})


def move(shop: Shop, order: dict[str, Any], action: str) -> Answered:
    return shop.api.post(f"{ORDERS}/{order['id']}/{action}")


def test_many_lines_at_the_catalogues_prices_add_up_to_the_cent(shop: Shop) -> None:
    shirt = shop.product(
        "19.99",
        variants=[
            {"title": "S", "inventory": {"quantity": 5}},
            {"title": "M", "price": Decimal("21.49"), "sku": "M-1", "inventory": {"quantity": 5}},
        ],
        name="Shirt",
    )
    mug = shop.product("7.05", 9, sku="MUG")
    answered = shop.order((variant_id(shirt), 3), (variant_id(shirt, 1), 2), (variant_id(mug), 7))
    assert answered.status == 201
    order = answered.json
    assert answered.headers["Location"] == f"{ORDERS}/{order['id']}"
    assert [(line["title"], line["unit_price"], line["subtotal"]) for line in order["lines"]] == [
        ("Shirt – S", Decimal("19.99"), Decimal("59.97")),
        ("Shirt – M", Decimal("21.49"), Decimal("42.98")),
        ("Thing", Decimal("7.05"), Decimal("49.35")),
    ]
    assert [line["sku"] for line in order["lines"]] == [None, "M-1", "MUG"]
    assert order["subtotal"] == order["total"] == Decimal("152.30")
    assert sum(line["total"] for line in order["lines"]) == order["total"]
    assert (order["status"], order["payment_status"], order["fulfillment_status"]) == (
        "pending",
        "unpaid",
        "unfulfilled",
    )
    assert stock(shop, shirt) == (5, 3)
    assert stock(shop, shirt, 1) == (5, 2)
    assert stock(shop, mug) == (9, 7)
    assert shop.api.get(answered.headers["Location"]).body == answered.body


def test_the_same_variant_on_two_lines_holds_the_sum(shop: Shop) -> None:
    product = shop.product(quantity=5)
    refused = shop.order((variant_id(product), 3), (variant_id(product), 3))
    assert refused.code == "out_of_stock"
    name = f"{product['name']} ({variant_id(product)})"
    assert refused.json["detail"] == f"Not enough stock of: {name}."
    told = "At most 5 are available at one location."
    assert refused.json["errors"] == [
        {"pointer": "/lines/0/quantity", "detail": told},
        {"pointer": "/lines/1/quantity", "detail": told},
    ]
    assert stock(shop, product) == (5, 0)
    order = shop.order((variant_id(product), 3), (variant_id(product), 2)).json
    assert stock(shop, product) == (5, 5)
    assert move(shop, order, "cancel").status == 200
    assert stock(shop, product) == (5, 0)


def test_stock_is_not_put_together_from_several_locations(shop: Shop) -> None:
    product = shop.product(quantity=2)
    far = shop.api.post("/api/v1/locations", {"name": "Far", "code": "far"}).json["id"]
    more = {"variant_id": variant_id(product), "location_id": far, "delta": 2}
    moved = shop.api.post("/api/v1/inventory/adjustments", {"adjustments": [more]})
    assert moved.status == 200
    refused = shop.order((variant_id(product), 3))
    assert (refused.status, refused.code) == (409, "out_of_stock")
    named = {"title": "L", "sku": "MUG-L", "options": [{"name": "Size", "value": "L"}]}
    mug = shop.product(variants=[named])
    detail = shop.order((variant_id(mug), 1)).json["detail"]
    assert detail == f"Not enough stock of: {mug['name']} – L (MUG-L)."
    together = "All locations together have enough"
    assert together in refused.json["detail"]
    assert refused.json["errors"][0]["detail"] == "At most 2 are available at one location."
    assert together not in shop.order((variant_id(product), 5)).json["detail"]
    assert [shop.order((variant_id(product), 2)).status for _ in range(3)] == [201, 201, 409]


def test_how_much_there_is_is_told_to_who_may_see_stock(shop: Shop) -> None:
    product = shop.product(quantity=5)
    body = {"name": "till", "scopes": ["catalog:read", "orders:write"]}
    till = shop.api.with_token(shop.api.post("/api/v1/api_keys", body).json["key"])
    order = {"lines": [{"variant_id": variant_id(product), "quantity": 6}]}
    refused = till.post(ORDERS, order)
    assert refused.code == "out_of_stock"
    assert refused.json["errors"] == [
        {"pointer": "/lines/0/quantity", "detail": "More than there is at any location."}
    ]


def test_an_order_that_costs_nothing_is_paid(app: App, shop: Shop) -> None:
    product = shop.product("10.00", 9)
    percent_off(shop, "100", "FREE")
    placed = place(shop, (product, 2), discount_codes=["FREE"])
    order = placed.json
    assert (order["total"], order["hold_expires_at"], order["payments"]) == (0, None, [])
    assert (order["status"], order["payment_status"]) == ("processing", "paid")
    [event] = shop.api.get(f"{ORDERS}/{order['id']}/events").json["data"]
    assert (event["type"], event["data"]["status"]) == ("order_created", "processing")
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        query = "SELECT changes::text FROM audit_entries WHERE action = 'order_placed'"
        assert '"processing"' in session.execute(text(query)).scalar_one()
    assert pay(shop, order).code == "paid_already"
    line = {"line_id": order["lines"][0]["id"], "quantity": 1}
    # a unit that was free is called off like any other
    assert shop.api.post(f"{ORDERS}/{order['id']}/refunds", {"lines": [line]}).status == 201
    kept = shop.api.get(f"{ORDERS}/{order['id']}").json
    assert (kept["payment_status"], kept["hold_expires_at"]) == ("paid", None)
    assert stock(shop, product) == (9, 1)
    assert shop.api.post(f"{ORDERS}/{order['id']}/fulfillments").status == 201
    assert move(shop, order, "complete").json["status"] == "completed"


def test_orders_are_numbered_without_gaps(shop: Shop) -> None:
    product = shop.product(quantity=3)
    numbers = []
    for quantity in (1, 9, 1, 1):
        answered = shop.order((variant_id(product), quantity))
        if answered.status == 201:
            numbers.append(answered.json["number"])
    assert numbers == [1, 2, 3]


def test_paid_in_parts_then_completed(shop: Shop) -> None:
    product = shop.product("10.01", 4)
    order = shop.order((variant_id(product), 2)).json
    first = pay(shop, order, "5.02", reference="receipt 1").json
    assert (first["status"], first["payment_status"]) == ("pending", "partially_paid")
    assert first["paid_total"] == Decimal("5.02")
    too_much = pay(shop, order, "15.01")
    assert (too_much.status, too_much.code) == (409, "amount_exceeds_due")
    assert "15.00 USD" in too_much.json["detail"]
    rest = pay(shop, order).json
    assert (rest["status"], rest["payment_status"]) == ("processing", "paid")
    assert [payment["amount"] for payment in rest["payments"]] == [
        Decimal("5.02"),
        Decimal("15.00"),
    ]
    assert rest["paid_total"] == rest["total"] == Decimal("20.02")
    assert pay(shop, order, "0.01").code == "paid_already"
    done = move(shop, order, "complete").json
    assert (done["status"], done["fulfillment_status"]) == ("completed", "fulfilled")
    assert done["completed_at"] is not None
    assert stock(shop, product) == (2, 0)


@pytest.mark.parametrize("amount", ["0.001", "0", "-1", "100000000000000"])
def test_amounts_that_cannot_be_paid(shop: Shop, amount: str) -> None:
    order = shop.order((variant_id(shop.product()), 1)).json
    refused = pay(shop, order, amount)
    assert refused.status == 422
    assert refused.json["errors"][0]["pointer"] == "/amount"
    assert shop.api.get(f"{ORDERS}/{order['id']}").json["paid_total"] == 0


def test_cancelling_frees_the_stock_and_refunds_what_was_paid(shop: Shop) -> None:
    product = shop.product("10.00", 4)
    order = shop.order((variant_id(product), 2)).json
    pay(shop, order)
    cancelled = move(shop, order, "cancel").json
    assert (cancelled["status"], cancelled["payment_status"]) == ("cancelled", "refunded")
    assert cancelled["refunded_total"] == cancelled["paid_total"] == Decimal("20.00")
    assert cancelled["cancelled_at"] is not None
    assert stock(shop, product) == (4, 0)
    unpaid = shop.order((variant_id(product), 4)).json
    cancelled = move(shop, unpaid, "cancel").json
    assert (cancelled["payment_status"], cancelled["refunded_total"]) == ("unpaid", 0)
    assert cancelled["due_total"] == 0
    assert stock(shop, product) == (4, 0)


def test_illegal_moves_name_the_allowed_ones_and_change_nothing(shop: Shop) -> None:
    product = shop.product(quantity=9)
    pending = shop.order((variant_id(product), 1)).json
    completed = shop.order((variant_id(product), 1)).json
    pay(shop, completed)
    move(shop, completed, "complete")
    cancelled = shop.order((variant_id(product), 1)).json
    move(shop, cancelled, "cancel")
    before = stock(shop, product)
    for order, action, allowed in [
        (pending, "complete", "processing, cancelled"),
        (pending, "complete", f"first, {pending['due_total']} USD (`due_total`). It may become"),
        (completed, "complete", "final"),
        (completed, "cancel", "/refunds gives money back, POST /orders/{id}/returns takes"),
        (completed, "cancel", "It is final."),
        (cancelled, "cancel", "final"),
        (cancelled, "complete", "final"),
    ]:
        shown = shop.api.get(f"{ORDERS}/{order['id']}").body
        refused = move(shop, order, action)
        assert (refused.status, refused.code) == (409, "illegal_state_change")
        assert allowed in refused.json["detail"]
        assert shop.api.get(f"{ORDERS}/{order['id']}").body == shown
    for order, code in ((completed, "paid_already"), (cancelled, "illegal_state_change")):
        refused = pay(shop, order, "1.00")
        assert (refused.status, refused.code) == (409, code)
    assert stock(shop, product) == before


def test_what_cannot_be_ordered_names_the_line_and_holds_nothing(shop: Shop) -> None:
    good = shop.product(quantity=5)
    draft = shop.product(quantity=5, status="draft")
    archived = shop.product(quantity=5, status="archived")
    unknown = str(uuid4())
    for line, status, code, pointer in [
        (variant_id(draft), 409, "product_not_for_sale", "/lines/1/variant_id"),
        (variant_id(archived), 409, "product_not_for_sale", "/lines/1/variant_id"),
        (unknown, 422, "variant_not_found", "/lines/1/variant_id"),
    ]:
        refused = shop.order((variant_id(good), 1), (line, 1))
        assert (refused.status, refused.code) == (status, code)
        assert [error["pointer"] for error in refused.json["errors"]] == [pointer]
    lines = [{"variant_id": variant_id(good), "quantity": 1}]
    refusals: list[tuple[dict[str, Any], str]] = [
        ({"currency": "EUR"}, "wrong_currency"),
        ({"customer_id": unknown}, "customer_not_found"),
        ({"currency": "XXX"}, "validation_failed"),
        ({"channel": "Not A Channel"}, "validation_failed"),
        ({"total": 1}, "validation_failed"),
    ]
    for extra, code in refusals:
        refused = shop.api.post(ORDERS, {"lines": lines, **extra})
        assert (refused.status, refused.code) == (422, code)
    for bad_lines in ([], [{"variant_id": variant_id(good), "quantity": 0}], lines * 201):
        assert shop.api.post(ORDERS, {"lines": bad_lines}).code == "validation_failed"
    assert stock(shop, good) == (5, 0)
    assert shop.api.get(ORDERS).json["data"] == []


def test_a_total_beyond_what_can_be_stored_is_refused(shop: Shop) -> None:
    product = shop.product("99999999999999.99", 200_000)
    refused = shop.order((variant_id(product), 100_000))
    assert (refused.status, refused.code) == (422, "amount_too_large")
    assert shop.order((variant_id(product), 1)).json["total"] == Decimal("99999999999999.99")
    cheap = shop.product("0.01", 200_000, cost_price=Decimal("1000000000.01"))
    refused = shop.order((variant_id(cheap), 100_000))
    assert (refused.status, refused.code) == (422, "amount_too_large")
    assert refused.json["detail"].startswith("What the goods of a line cost")
    assert shop.order((variant_id(cheap), 99_999)).status == 201


def test_backorders_go_below_zero_only_while_they_are_allowed(app: App, shop: Shop) -> None:
    product = shop.product(inventory={"quantity": 1, "allow_backorder": True})
    first = shop.order((variant_id(product), 3)).json
    second = shop.order((variant_id(product), 1)).json
    assert stock(shop, product) == (1, 4)
    for order in (first, second):
        pay(shop, order)
    assert move(shop, first, "complete").status == 200
    assert stock(shop, product) == (-2, 1)
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        session.execute(text("UPDATE variants SET allow_backorder = false"))
    refused = move(shop, second, "complete")
    assert (refused.status, refused.code) == (409, "stock_below_zero")
    assert stock(shop, product) == (-2, 1)
    adjustment = {"variant_id": variant_id(product), "delta": 3}
    shop.api.post("/api/v1/inventory/adjustments", {"adjustments": [adjustment]})
    assert move(shop, second, "complete").status == 200
    assert stock(shop, product) == (0, 0)


def test_untracked_goods_are_never_out_of_stock(shop: Shop) -> None:
    product = shop.product(inventory={"track_quantity": False})
    order = shop.order((variant_id(product), 1000)).json
    assert stock(shop, product) == (0, 0)
    pay(shop, order)
    assert move(shop, order, "complete").status == 200
    assert stock(shop, product) == (0, 0)


def test_an_order_of_free_goods_is_paid_as_it_is_placed(shop: Shop) -> None:
    order = shop.order((variant_id(shop.product("0")), 1)).json
    assert (order["total"], order["hold_expires_at"]) == (0, None)
    assert (order["status"], order["payment_status"]) == ("processing", "paid")


@pytest.mark.parametrize(
    ("currency", "price", "written", "too_fine"),
    [
        ("JPY", "1990", b'"total":3980,', "1990.5"),
        ("KWD", "1.005", b'"total":2.010,', "1.0005"),
        ("USD", "19.9", b'"total":39.80,', "19.999"),
    ],
)
def test_amounts_have_exactly_their_currencys_digits(
    api: ApiClient, currency: str, price: str, written: bytes, too_fine: str
) -> None:
    shop = open_shop(api, currency)
    product = shop.product(price)
    assert product["currency"] == currency
    answered = shop.order((variant_id(product), 2))
    assert written in answered.body
    order = answered.json
    assert pay(shop, order, too_fine).code == "inexact_amount"
    # however many they are
    for amount in (Decimal(too_fine), Decimal(f"{too_fine}{'1' * 30}")):
        refused = shop.api.post("/api/v1/products", {"name": "Fine", "price": amount})
        assert (refused.status, refused.code) == (422, "inexact_amount")
        told = {"JPY": "JPY has no decimals, such as 1990", "KWD": "KWD has 3 decimals"}
        (error,) = refused.json["errors"]
        assert error["pointer"] == "/price"
        assert error["detail"].startswith("Too many decimals: " + told.get(currency, currency))


def test_prices_of_placed_orders_stand(shop: Shop) -> None:
    product = shop.product("10.00")
    order = shop.order((variant_id(product), 1)).json
    shop.api.patch(f"/api/v1/products/{product['id']}", {"price": Decimal("12.00"), "name": "New"})
    kept = shop.api.get(f"{ORDERS}/{order['id']}").json
    assert (kept["total"], kept["lines"][0]["title"]) == (Decimal("10.00"), "Thing")
    assert shop.order((variant_id(product), 1)).json["total"] == Decimal("12.00")


def test_orders_are_found_by_what_they_are(shop: Shop) -> None:
    product = shop.product(quantity=50)
    customer = shop.api.post("/api/v1/customers", {"email": "ada@example.com"}).json
    lines = [{"variant_id": variant_id(product), "quantity": 1}]
    hers = shop.api.post(
        ORDERS,
        {"lines": lines, "customer_id": customer["id"], "channel": "pos", "external_id": "x-1"},
    ).json
    other = shop.api.post(ORDERS, {"lines": lines * 2}).json
    pay(shop, other)
    paid_at = shop.api.get(f"{ORDERS}/{other['id']}").json["updated_at"]
    for query, found in [
        ({"customer_id": customer["id"]}, [hers]),
        ({"channel": "pos"}, [hers]),
        ({"external_id": "x-1"}, [hers]),
        ({"number": 2}, [other]),
        ({"status": "processing"}, [other]),
        ({"status": ["processing", "pending"]}, [other, hers]),
        ({"payment_status": "unpaid"}, [hers]),
        ({"fulfillment_status": "fulfilled"}, []),
        ({"placed_after": other["placed_at"]}, []),
        ({"placed_before": other["placed_at"]}, [hers]),
        ({"updated_after": other["updated_at"]}, [other]),
        ({"updated_after": paid_at}, []),
        ({"updated_before": paid_at}, [hers]),
        ({"sort": "total"}, [other, hers]),
        ({"sort": "total", "order": "asc"}, [hers, other]),
    ]:
        answered = shop.api.get(ORDERS, query=query)
        assert [order["id"] for order in answered.json["data"]] == [o["id"] for o in found], query
    again = shop.api.post(ORDERS, {"lines": lines, "external_id": "x-1"})
    assert (again.status, again.code) == (409, "external_id_taken")
    assert stock(shop, product) == (50, 3)
