"""One's own tenant over HTTP: what it shows, what may change, and that its settings take effect."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from tests.fixtures.api import PASSWORD, Answered, ApiClient, Shop, open_shop

# what becomes of a credential is seen at once
APP_SETTINGS = {"credential_cache_seconds": 0.0}

TENANT = "/api/v1/tenant"
PRODUCTS = "/api/v1/products"


NO_SETTINGS = dict.fromkeys(
    ("order_hold_minutes", "low_stock_alert", "report_hour", "country", "region")
)


def set_up(shop: Shop, **settings: Any) -> dict[str, Any]:
    answered = shop.api.patch(TENANT, {"settings": settings})
    assert answered.status == 200, answered.body
    found: dict[str, Any] = answered.json["settings"]
    return found


def hold_minutes(order: dict[str, Any]) -> float:
    placed, ends = (
        datetime.fromisoformat(order[name]) for name in ("placed_at", "hold_expires_at")
    )
    return (ends - placed) / timedelta(minutes=1)


def test_a_tenant_shows_what_it_is(shop: Shop) -> None:
    tenant = shop.api.get(TENANT).json
    assert tenant == {
        **tenant,
        "id": str(shop.tenant_id),
        "slug": shop.slug,
        "currency": "USD",
        "cors_origins": [],
        "settings": NO_SETTINGS,
    }
    assert {"name", "plan", "timezone", "prices_include_tax"} <= set(tenant)


def test_what_may_change_changes(shop: Shop) -> None:
    before = shop.api.get(TENANT)
    body = {
        "name": "Renamed",
        "slug": f"{shop.slug}-new",
        "currency": "JPY",
        "timezone": "Asia/Tokyo",
        "prices_include_tax": True,
        "cors_origins": ["https://shop.example"],
        "settings": {
            "order_hold_minutes": 60,
            "low_stock_alert": 0,
            "report_hour": 23,
            "country": "JP",
            "region": "13",
        },
    }
    changed = shop.api.patch(TENANT, body, headers={"If-Match": before.headers["ETag"]}).json
    assert changed == {**before.json, **body, "updated_at": changed["updated_at"]}
    assert shop.api.get(TENANT).json == changed
    entry = shop.api.get("/api/v1/audit_log", query={"action": "tenant_updated"}).json["data"][0]
    assert entry["after"] == body
    stale = shop.api.patch(TENANT, {"name": "x"}, headers={"If-Match": before.headers["ETag"]})
    assert (stale.status, stale.code) == (412, "precondition_failed")
    # the new slug is what its people sign in with
    body = {"email": shop.email, "password": PASSWORD, "tenant": f"{shop.slug}-new"}
    assert shop.api.with_token(None).post("/api/v1/auth/login", body).status == 200


def test_what_is_wrong_is_refused(shop: Shop, api: ApiClient) -> None:
    other = open_shop(api)
    cases: list[tuple[dict[str, Any], int, str, str | None]] = [
        ({"slug": other.slug}, 409, "slug_taken", "/slug"),
        ({"slug": "Not a slug"}, 422, "validation_failed", "/slug"),
        ({"timezone": "Mars/Base"}, 422, "validation_failed", "/timezone"),
        ({"currency": "XXZ"}, 422, "validation_failed", "/currency"),
        ({"plan": "enterprise"}, 422, "validation_failed", "/plan"),
        ({"cors_origins": ["*"]}, 422, "validation_failed", "/cors_origins/0"),
        ({"settings": {"colour": 1}}, 422, "validation_failed", "/settings/colour"),
        ({"settings": None}, 422, "validation_failed", "/settings"),
        (
            {"settings": {"order_hold_minutes": 0}},
            422,
            "validation_failed",
            "/settings/order_hold_minutes",
        ),
        ({"settings": {"country": "Italy"}}, 422, "validation_failed", "/settings/country"),
        ({"settings": {"report_hour": 24}}, 422, "validation_failed", "/settings/report_hour"),
    ]
    before = shop.api.get(TENANT).body
    for body, status, code, pointer in cases:
        refused = shop.api.patch(TENANT, {"name": "Renamed", **body})
        assert (refused.status, refused.code) == (status, code), body
        if pointer:
            assert refused.json["errors"][0]["pointer"] == pointer
    assert shop.api.get(TENANT).body == before


def test_settings_change_one_by_one_and_null_ends_one(shop: Shop) -> None:
    nothing = NO_SETTINGS
    assert set_up(shop, report_hour=0) == {**nothing, "report_hour": 0}
    both = {**nothing, "report_hour": 0, "low_stock_alert": 3}
    assert set_up(shop, low_stock_alert=3) == both
    assert set_up(shop) == both
    assert set_up(shop, report_hour=None, low_stock_alert=None) == nothing


def test_orders_hold_their_stock_as_long_as_the_tenant_says(shop: Shop) -> None:
    variant_id = shop.product(quantity=9)["variants"][0]["id"]
    assert hold_minutes(shop.order((variant_id, 1)).json) == 30
    set_up(shop, order_hold_minutes=90)
    assert hold_minutes(shop.order((variant_id, 1)).json) == 90
    set_up(shop, order_hold_minutes=None)
    assert hold_minutes(shop.order((variant_id, 1)).json) == 30


def test_new_variants_are_watched_as_the_tenant_says(shop: Shop) -> None:
    set_up(shop, low_stock_alert=4)
    variants = [
        {"title": "S"},
        {"title": "M", "inventory": {"quantity": 2}},
        {"title": "L", "inventory": {"low_stock_alert": 9}},
        {"title": "XL", "inventory": {"low_stock_alert": None}},
    ]
    product = shop.api.post(PRODUCTS, {"name": "Shirt", "price": 1, "variants": variants}).json
    alerts = [variant["inventory"]["low_stock_alert"] for variant in product["variants"]]
    assert alerts == [4, 4, 9, None]
    path = f"{PRODUCTS}/{product['id']}/variants"
    added = shop.api.post(path, {"title": "XXL", "options": [{"name": "Size", "value": "XXL"}]})
    assert added.json["inventory"]["low_stock_alert"] == 4


def price_product(shop: Shop) -> Answered:
    return shop.api.post(PRODUCTS, {"name": "Shirt", "price": 1})


def price_discount(shop: Shop) -> Answered:
    body = {"code": "TEN", "title": "Off", "kind": "fixed", "amount": 10}
    return shop.api.post("/api/v1/discounts", body)


def price_shipping(shop: Shop) -> Answered:
    body = {"name": "Post", "kind": "flat", "price": 5}
    return shop.api.post("/api/v1/shipping_rates", body)


def open_session(shop: Shop) -> Answered:
    return shop.api.post("/api/v1/sessions", {"kind": "table", "name": "1"})


@pytest.mark.parametrize(
    ("make", "holder"),
    [
        (price_product, "products"),
        (price_discount, "discounts"),
        (price_shipping, "shipping rates"),
        (open_session, "sessions"),
    ],
)
def test_the_currency_stays_once_something_is_priced(
    shop: Shop, make: Callable[[Shop], Answered], holder: str
) -> None:
    assert shop.api.patch(TENANT, {"currency": "EUR"}).json["currency"] == "EUR"
    made = make(shop)
    assert made.status == 201, made.body
    refused = shop.api.patch(TENANT, {"currency": "USD"})
    assert (refused.status, refused.code) == (409, "currency_in_use")
    assert f"the tenant has {holder} in it" in refused.json["detail"]
    # to what it is already is no change
    assert shop.api.patch(TENANT, {"currency": "EUR"}).status == 200


def test_orders_keep_the_currency(shop: Shop) -> None:
    shop.order((shop.product(quantity=1)["variants"][0]["id"], 1))
    refused = shop.api.patch(TENANT, {"currency": "EUR"})
    assert refused.code == "currency_in_use"
    assert "the tenant has orders, products in it" in refused.json["detail"]


def test_the_currency_does_not_change_while_something_is_priced(shop: Shop) -> None:
    start = Barrier(2)

    def send(call: Callable[[], Answered]) -> Answered:
        start.wait(5)
        return call()

    with ThreadPoolExecutor(2) as pool:
        made, changed = pool.map(
            send,
            (lambda: price_product(shop), lambda: shop.api.patch(TENANT, {"currency": "EUR"})),
        )
    assert made.status == 201
    assert changed.status in (200, 409)
    assert made.json["currency"] == shop.api.get(TENANT).json["currency"]
