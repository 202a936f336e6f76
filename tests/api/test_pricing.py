"""Orders with discounts, taxes and shipping over HTTP, and keeping these three."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from tests.factories.pricing import ADDRESS, amount_off, make, percent_off, place, shipping, tax
from tests.fixtures.api import Answered, ApiClient, Shop, open_shop

ORDERS = "/api/v1/orders"
DISCOUNTS = "/api/v1/discounts"


def used(shop: Shop, discount: dict[str, Any]) -> int:
    count: int = shop.api.get(f"{DISCOUNTS}/{discount['id']}").json["used_count"]
    return count


def adds_up(order: dict[str, Any]) -> None:
    added = 0 if order["prices_include_tax"] else order["tax_total"]
    assert order["total"] == (
        order["subtotal"] - order["discount_total"] + order["shipping_total"] + added
    )
    lines = order["lines"]
    assert sum(line["discount_total"] for line in lines) == order["discount_total"]
    assert sum(d["amount"] for d in order["discounts"]) == order["discount_total"]
    on_shipping = order["shipping_tax_total"]
    assert sum(line["tax_total"] for line in lines) + on_shipping == order["tax_total"]
    left = sum(line["total"] for line in lines) + order["shipping_total"]
    assert order["total"] == left + (0 if order["prices_include_tax"] else on_shipping)


def test_an_order_with_everything(shop: Shop) -> None:
    automatic = percent_off(shop, "10")
    percent_off(shop, "5")
    code = amount_off(shop, "20.00", "Welcome")
    tax(shop, "0.20", applies_to_shipping=True)
    tax(shop, "0.025", region="to")
    tax(shop, "0.5", country="FR")
    tax(shop, "0.5", region="MI")
    tax(shop, "0.04", tax_class="books")
    rate = shipping(shop, "4.90", countries=["IT", "FR"])
    shirt, book = shop.product("100.00"), shop.product("20.00", tax_class="books")
    answered = place(
        shop,
        (shirt, 2),
        (book, 1),
        discount_codes=["wELCOME"],
        shipping_rate_id=rate["id"],
        shipping_address=ADDRESS,
        billing_address={**ADDRESS, "line1": "Via Po 2"},
    )
    assert answered.status == 201, answered.body
    order = answered.json
    adds_up(order)
    assert [(d["code"], d["kind"], d["amount"]) for d in order["discounts"]] == [
        (None, "percentage", Decimal("22.00")),
        ("WELCOME", "fixed", Decimal("20.00")),
    ]
    # 42.00 off 220.00 in proportion; then 22.5 % and 4 %
    assert [
        (line["discount_total"], line["tax_rate"], line["tax_total"]) for line in order["lines"]
    ] == [
        (Decimal("38.18"), Decimal("0.225"), Decimal("36.41")),
        (Decimal("3.82"), Decimal("0.04"), Decimal("0.65")),
    ]
    assert order["shipping_method"] == "Post 4.90"
    assert (order["shipping_total"], order["shipping_tax_total"]) == (
        Decimal("4.90"),
        Decimal("0.98"),
    )
    assert order["total"] == Decimal("220.94")
    assert order["billing_address"]["line1"] == "Via Po 2"
    assert order["prices_include_tax"] is False
    assert shop.api.get(f"{ORDERS}/{order['id']}").body == answered.body
    assert (used(shop, automatic), used(shop, code)) == (1, 1)


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_prices_that_include_their_tax(api: ApiClient, currency: str) -> None:
    shop = open_shop(api, currency)
    changed = shop.api.patch("/api/v1/tenant", {"prices_include_tax": True})
    assert changed.json["prices_include_tax"] is True
    tax(shop, "0.22", applies_to_shipping=True)
    percent_off(shop, "7.5")
    rate = shipping(shop, "610")
    order = place(
        shop, (shop.product("1220"), 3), shipping_address=ADDRESS, shipping_rate_id=rate["id"]
    ).json
    adds_up(order)
    assert order["prices_include_tax"] is True
    assert order["shipping_tax_total"] == 110
    # 3660 less 274.50, which is no amount of yen
    discount = 275 if currency == "JPY" else Decimal("274.5")
    assert (order["discount_total"], order["total"]) == (discount, 3660 - discount + 610)
    digits = {"EUR": 2, "JPY": 0, "KWD": 3}[currency]
    included = (3660 - discount) * Decimal("0.22") / Decimal("1.22")
    assert order["lines"][0]["tax_total"] == round(included, digits)


def test_without_an_address_there_is_no_tax(shop: Shop) -> None:
    tax(shop, "0.22")
    order = place(shop, (shop.product("10.00"), 1)).json
    assert (order["tax_total"], order["total"]) == (0, Decimal("10.00"))


def test_inactive_rates_are_not_applied(shop: Shop) -> None:
    rate = tax(shop, "0.22")
    shop.api.patch(f"/api/v1/tax_rates/{rate['id']}", {"is_active": False})
    order = place(shop, (shop.product("10.00"), 1), shipping_address=ADDRESS).json
    assert order["tax_total"] == 0


def test_free_shipping_takes_the_charge(shop: Shop) -> None:
    make(shop, "discounts", code="FREE", title="Free shipping", kind="free_shipping")
    product = shop.product("10.00")
    refused = place(shop, (product, 1), discount_codes=["free"])
    assert (refused.status, refused.code) == (409, "discount_not_applicable")
    sent = {"shipping_rate_id": shipping(shop)["id"], "discount_codes": ["free"]}
    order = place(shop, (product, 1), **sent).json
    adds_up(order)
    assert order["discounts"][0]["shipping_amount"] == Decimal("4.90")
    assert (order["shipping_total"], order["total"]) == (0, Decimal("10.00"))


def test_shipping_by_weight_and_its_refusals(shop: Shop) -> None:
    rate = shipping(
        shop,
        "2.00",
        kind="by_weight",
        price_per_kilogram=Decimal("1.50"),
        maximum_weight_grams=5000,
        countries=["IT"],
    )
    heavy = shop.product("10.00", variants=[{"title": "Default", "weight_grams": 1250}])
    assert heavy["variants"][0]["weight_grams"] == 1250
    shop.api.post(
        "/api/v1/inventory/adjustments",
        {"adjustments": [{"variant_id": heavy["variants"][0]["id"], "delta": 50}]},
    )
    sent = {"shipping_rate_id": rate["id"], "shipping_address": ADDRESS}
    assert place(shop, (heavy, 4), **sent).json["shipping_total"] == Decimal("9.50")

    def refusal(quantity: int, **changes: Any) -> tuple[int, str, str]:
        answered = place(shop, (heavy, quantity), **{**sent, **changes})
        return answered.status, answered.code, answered.json["errors"][0]["pointer"]

    refused = (409, "shipping_rate_not_applicable", "/shipping_rate_id")
    assert refusal(5) == refused
    assert refusal(1, shipping_address={**ADDRESS, "country": "FR"}) == refused
    assert refusal(1, shipping_address=None) == refused
    unknown = {"shipping_rate_id": str(uuid4())}
    assert refusal(1, **unknown) == (422, "shipping_rate_not_found", "/shipping_rate_id")
    shop.api.patch(f"/api/v1/shipping_rates/{rate['id']}", {"is_active": False})
    assert refusal(1) == refused


def test_codes_that_cannot_be_used_say_why(shop: Shop) -> None:
    now = datetime.now(UTC)
    limits: dict[str, dict[str, Any]] = {
        "OFF": {"is_active": False},
        "LATER": {"starts_at": (now + timedelta(days=1)).isoformat()},
        "PAST": {"ends_at": (now - timedelta(days=1)).isoformat()},
        "ONCE": {"usage_limit": 1},
        "MINE": {"customer_usage_limit": 1},
        "BIG": {"minimum_subtotal": Decimal("10.01")},
        "GOOD": {},
    }
    for code, body in limits.items():
        percent_off(shop, "10", code, **body)
    product = shop.product("10.00")
    assert place(shop, (product, 1), discount_codes=["ONCE"]).status == 201
    for code, why in {
        "OFF": "not active",
        "LATER": "not started",
        "PAST": "expired",
        "ONCE": "as often as it may be",
        "MINE": "needs a customer",
        "BIG": "at least 10.01 USD",
    }.items():
        refused = place(shop, (product, 1), discount_codes=["GOOD", code.lower()])
        assert (refused.status, refused.code) == (409, "discount_not_applicable"), code
        assert refused.json["errors"][0]["pointer"] == "/discount_codes/1"
        assert why in refused.json["detail"]
    unknown = place(shop, (product, 1), discount_codes=["nope"])
    assert (unknown.status, unknown.code) == (422, "discount_not_found")
    assert unknown.json["errors"][0]["pointer"] == "/discount_codes/0"
    for codes in (["good", "GOOD"], ["A1", "A2", "A3", "A4", "A5", "A6"]):
        refused = place(shop, (product, 1), discount_codes=codes)
        assert (refused.status, refused.code) == (422, "validation_failed")
    # nothing of a refused order stays: no use, no stock
    [good] = shop.api.get(DISCOUNTS, query={"code": "good"}).json["data"]
    assert good["used_count"] == 0
    inventory = shop.api.get(f"/api/v1/products/{product['id']}").json["inventory"]
    assert inventory["reserved_quantity"] == 1


def test_fifty_orders_at_once_use_a_code_of_five_five_times(app: App, shop: Shop) -> None:
    code = percent_off(shop, "10", "FIVE", usage_limit=5)
    automatic = amount_off(shop, "1.00", usage_limit=7)
    product = shop.product("10.00", 100)

    def buy(index: int) -> Answered:
        return place(shop, (product, 1), **({"discount_codes": ["FIVE"]} if index < 50 else {}))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(buy, range(60)))
    found = Counter((a.status, "" if a.status == 201 else a.code) for a in answers)
    assert found == {(201, ""): 15, (409, "discount_not_applicable"): 45}
    # who comes too late for the automatic one pays the full price, and is not refused
    assert (used(shop, code), used(shop, automatic)) == (5, 7)
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        counts = session.execute(
            text("SELECT discount_id, count(*) FROM order_discounts GROUP BY 1")
        ).all()
    assert {str(found): n for found, n in counts} == {code["id"]: 5, automatic["id"]: 7}


def test_a_customer_uses_a_code_as_often_as_they_may_at_once(shop: Shop) -> None:
    code = percent_off(shop, "10", "TWICE", customer_usage_limit=2)
    ada, grace = (
        shop.api.post("/api/v1/customers", {"first_name": name}).json["id"] for name in "AG"
    )
    product = shop.product("10.00", 100)

    def buy(index: int) -> Answered:
        buyer = ada if index % 2 else grace
        return place(shop, (product, 1), discount_codes=["TWICE"], customer_id=buyer)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(buy, range(20)))
    kept = [answer.json for answer in answers if answer.status == 201]
    assert Counter(order["customer_id"] for order in kept) == {ada: 2, grace: 2}
    refused = [answer for answer in answers if answer.status != 201]
    assert {answer.code for answer in refused} == {"discount_not_applicable"}
    assert "The customer has used" in refused[0].json["detail"]
    # cancelling gives a use back
    of_ada = next(order for order in kept if order["customer_id"] == ada)
    assert shop.api.post(f"{ORDERS}/{of_ada['id']}/cancel").status == 200
    assert used(shop, code) == 3
    assert buy(1).status == 201
    assert buy(1).status == 409


def test_orders_and_cancels_at_once_leave_the_right_count(shop: Shop) -> None:
    codes = [percent_off(shop, "1", f"C{index}") for index in range(3)]
    product = shop.product("10.00", 1000)

    def buy_and_cancel(index: int) -> tuple[int, int]:
        names = [f"C{n}" for n in range(3)]
        sent = names if index % 2 else names[::-1]
        placed = place(shop, (product, 1), discount_codes=sent)
        if index % 3 == 0:
            cancelled = shop.api.post(f"{ORDERS}/{placed.json['id']}/cancel")
            return placed.status, cancelled.status
        return placed.status, 200

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(buy_and_cancel, range(30))) == {(201, 200)}
    assert [used(shop, code) for code in codes] == [20, 20, 20]


def test_an_automatic_discount_a_customer_has_used_up_is_left_out(shop: Shop) -> None:
    best = percent_off(shop, "50", customer_usage_limit=1)
    second = percent_off(shop, "10")
    buyer = shop.api.post("/api/v1/customers", {"first_name": "Ada"}).json["id"]
    product = shop.product("10.00")
    totals = [place(shop, (product, 1), customer_id=buyer).json["total"] for _ in range(2)]
    totals.append(place(shop, (product, 1)).json["total"])
    assert totals == [Decimal("5.00"), Decimal("9.00"), Decimal("9.00")]
    assert (used(shop, best), used(shop, second)) == (1, 2)


def test_a_deleted_discount_stays_on_its_orders(shop: Shop) -> None:
    code = percent_off(shop, "10", "GONE")
    order = place(shop, (shop.product("10.00"), 1), discount_codes=["GONE"]).json
    assert shop.api.delete(f"{DISCOUNTS}/{code['id']}").status == 204
    kept = shop.api.get(f"{ORDERS}/{order['id']}").json
    assert kept["discounts"] == order["discounts"]
    assert shop.api.post(f"{ORDERS}/{order['id']}/cancel").status == 200


def test_totals_beyond_what_can_be_stored_are_refused(shop: Shop) -> None:
    rate = shipping(shop, "99999999999999")
    product = shop.product("99999999999999", 10)
    refused = place(shop, (product, 1), shipping_rate_id=rate["id"])
    assert (refused.status, refused.code) == (422, "amount_too_large")


@pytest.mark.parametrize(
    ("noun", "body", "status", "code"),
    [
        ("discounts", {"title": "x", "kind": "percentage"}, 422, "value_missing"),
        ("discounts", {"title": "x", "kind": "fixed"}, 422, "value_missing"),
        (
            "discounts",
            {"title": "x", "kind": "free_shipping", "amount": 1},
            422,
            "value_of_another_kind",
        ),
        (
            "discounts",
            {"title": "x", "kind": "fixed", "amount": Decimal("1.001")},
            422,
            "inexact_amount",
        ),
        (
            "discounts",
            {"title": "x", "kind": "percentage", "percentage": Decimal("100.0001")},
            422,
            "validation_failed",
        ),
        (
            "discounts",
            {"title": "x", "kind": "percentage", "percentage": Decimal("1.00001")},
            422,
            "validation_failed",
        ),
        (
            "discounts",
            {
                "title": "x",
                "kind": "free_shipping",
                "starts_at": "2026-01-01T00:00:00Z",
                "ends_at": "2026-01-01T00:00:00Z",
            },
            422,
            "empty_window",
        ),
        ("discounts", {"title": "x", "kind": "free_shipping", "code": "taken"}, 409, "code_taken"),
        ("tax_rates", {"name": "IVA", "country": "IT", "rate": 0}, 409, "tax_rate_exists"),
        ("tax_rates", {"name": "IVA", "country": "it", "rate": 0}, 422, "validation_failed"),
        ("shipping_rates", {"name": "Post", "kind": "flat", "price": 1}, 409, "name_taken"),
        ("shipping_rates", {"name": "P", "kind": "by_weight", "price": 1}, 422, "value_missing"),
        (
            "shipping_rates",
            {"name": "P", "kind": "flat", "price": 1, "price_per_kilogram": 1},
            422,
            "value_of_another_kind",
        ),
    ],
)
def test_what_is_refused(
    shop: Shop, noun: str, body: dict[str, Any], status: int, code: str
) -> None:
    percent_off(shop, "1", "TAKEN")
    make(shop, "tax_rates", name="IVA", country="IT", rate=Decimal("0.22"))
    shipping(shop, name="Post")
    refused = shop.api.post(f"/api/v1/{noun}", body)
    assert (refused.status, refused.code) == (status, code)


def test_a_discount_is_changed_and_written_down(app: App, shop: Shop) -> None:
    made = percent_off(shop, "12.5", "spring")
    path = f"{DISCOUNTS}/{made['id']}"
    assert (made["code"], made["percentage"]) == ("SPRING", Decimal("12.5"))
    etag = shop.api.get(path).headers["ETag"]
    body = {"percentage": Decimal("0.0001"), "code": "summer", "title": made["title"]}
    changed = shop.api.patch(path, body, headers={"If-Match": etag})
    assert (changed.json["code"], changed.json["percentage"]) == ("SUMMER", Decimal("0.0001"))
    assert shop.api.patch(path, body, headers={"If-Match": etag}).status == 412
    assert shop.api.patch(path, {"amount": Decimal(1)}).code == "value_of_another_kind"
    assert shop.api.delete(path).status == 204
    assert shop.api.get(path).status == 404
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        changes = session.execute(
            text("SELECT changes::text FROM audit_entries WHERE action = 'discount_updated'")
        ).scalar_one()
        types = session.execute(
            text("SELECT type FROM events WHERE subject_type = 'discount' ORDER BY sequence")
        ).scalars()
        assert list(types) == ["discount_created", "discount_updated", "discount_deleted"]
    assert changes == (
        '{"after": {"code": "SUMMER", "percentage": 0.0001},'
        ' "before": {"code": "SPRING", "percentage": 12.5}}'
    )


def test_selling_does_not_change_the_version_of_a_discount(shop: Shop) -> None:
    """A merchant's edit is not refused because customers buy meanwhile."""
    made = percent_off(shop, "10", "BUSY")
    path = f"{DISCOUNTS}/{made['id']}"
    etag = shop.api.get(path).headers["ETag"]
    place(shop, (shop.product(), 1), discount_codes=["BUSY"])
    place(shop, (shop.product(), 1), discount_codes=["BUSY"])
    changed = shop.api.patch(path, {"usage_limit": 2}, headers={"If-Match": etag})
    assert changed.status == 200, changed.body
    low = shop.api.patch(path, {"usage_limit": 1})
    assert (low.status, low.code) == (409, "usage_limit_too_low")
