"""Variants of a product over HTTP: added, changed, told apart by their options, deleted."""

from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from tests.api.test_order_concurrency import outcomes, together
from tests.fixtures.api import Answered, Shop

SIZES = [{"name": "Size", "value": "M"}]


@pytest.fixture
def product(shop: Shop) -> dict[str, Any]:
    return shop.product("20.00", 5)


def path(product: dict[str, Any], variant: dict[str, Any] | None = None) -> str:
    found = f"/api/v1/products/{product['id']}/variants"
    return f"{found}/{variant['id']}" if variant else found


def add(shop: Shop, product: dict[str, Any], **body: Any) -> Answered:
    return shop.api.post(path(product), {"title": "M", **body})


def test_a_variant_is_added_with_its_stock(shop: Shop, product: dict[str, Any]) -> None:
    body = {"price": Decimal("25.00"), "options": SIZES, "weight_grams": 300, "sku": "V-M"}
    made = add(shop, product, **body, inventory={"quantity": 4, "low_stock_alert": 1})
    variant = made.json
    assert (made.status, made.headers["Location"]) == (201, path(product, variant))
    assert {name: variant[name] for name in body} == body
    assert (variant["position"], variant["inventory"]["available_quantity"]) == (1, 4)
    assert shop.api.get(path(product, variant)).body == made.body
    shown = shop.api.get(f"/api/v1/products/{product['id']}").json
    assert [row["id"] for row in shown["variants"]] == [product["variants"][0]["id"], variant["id"]]
    assert shown["inventory"]["quantity"] == 9
    assert shown["updated_at"] > product["updated_at"]
    listed = shop.api.get(path(product), query={"include_total": "true"}).json
    assert ([row["position"] for row in listed["data"]], listed["total"]) == ([0, 1], 2)
    # it can be bought, and what moved is in the ledger
    assert shop.order((variant["id"], 1)).json["total"] == Decimal("25.00")
    moved = shop.api.get("/api/v1/inventory/movements", query={"variant_id": variant["id"]}).json
    assert [row["quantity_delta"] for row in moved["data"]] == [0, 4]


def inherits(shop: Shop, product: dict[str, Any], variant: dict[str, Any]) -> set[bool]:
    """Whether its price is the product's, by every answer that shows it."""
    whole = f"/api/v1/products/{product['id']}"
    key = shop.api.post("/api/v1/api_keys", {"name": "page", "kind": "publishable"}).json["key"]
    told = set()
    for reader in (shop.api, shop.api.with_token(key)):
        for shown in (
            [reader.get(path(product, variant)).json],
            reader.get(path(product)).json["data"],
            reader.get(whole).json["variants"],
            reader.get("/api/v1/products").json["data"][0]["variants"],
        ):
            told |= {row["inherits_price"] for row in shown if row["id"] == variant["id"]}
    return told


def test_what_is_null_is_the_products(shop: Shop, product: dict[str, Any]) -> None:
    variant = add(shop, product, price=Decimal("25.00")).json
    assert inherits(shop, product, variant) == {False}
    changed = shop.api.patch(path(product, variant), {"price": None}).json
    assert (changed["price"], changed["inherits_price"]) == (Decimal("20.00"), True)
    assert inherits(shop, product, variant) == {True}
    shop.api.patch(f"/api/v1/products/{product['id']}", {"price": Decimal("21.00")})
    assert shop.api.get(path(product, variant)).json["price"] == Decimal("21.00")
    # the product's amount, but its own from now on
    own = shop.api.put(path(product, variant), {"title": "M", "price": Decimal("21.00")}).json
    assert (own["price"], own["inherits_price"]) == (Decimal("21.00"), False)
    assert inherits(shop, product, variant) == {False}


def test_put_replaces_and_patch_changes(shop: Shop, product: dict[str, Any]) -> None:
    inventory = {"quantity": 3, "allow_backorder": True, "low_stock_alert": 2}
    variant = add(shop, product, options=SIZES, weight_grams=1, inventory=inventory).json
    patched = shop.api.patch(path(product, variant), {"inventory": {"low_stock_alert": None}}).json
    assert (patched["weight_grams"], patched["inventory"]["allow_backorder"]) == (1, True)
    assert patched["inventory"]["low_stock_alert"] is None
    replaced = shop.api.put(path(product, variant), {"title": "Medium"}).json
    assert (replaced["title"], replaced["options"]) == ("Medium", [])
    assert replaced["weight_grams"] is None
    assert replaced["inventory"] == {
        "track_quantity": True,
        "quantity": 3,
        "reserved_quantity": 0,
        "available_quantity": 3,
        "low_stock_alert": None,
        "allow_backorder": False,
    }
    assert shop.api.put(path(product, variant), {}).json["errors"][0]["pointer"] == "/title"
    refused = shop.api.patch(path(product, variant), {"inventory": {"quantity": 9}})
    assert refused.json["errors"][0]["pointer"] == "/inventory/quantity"


def test_no_two_variants_have_the_same_options(shop: Shop, product: dict[str, Any]) -> None:
    first = add(shop, product, options=SIZES).json
    assert add(shop, product, options=SIZES).code == "options_taken"
    both = [{"name": "Colour", "value": "Red"}, *SIZES]
    second = add(shop, product, options=both).json
    refused = shop.api.patch(path(product, second), {"options": SIZES})
    assert refused.code == "options_taken"
    assert add(shop, product, options=both[::-1]).code == "options_taken"
    assert add(shop, product, options=[*SIZES, *SIZES]).code == "option_named_twice"
    assert shop.api.patch(path(product, first), {"options": SIZES}).status == 200


def test_the_first_variant_stays_until_it_is_deleted_or_made_a_choice(
    shop: Shop, product: dict[str, Any]
) -> None:
    first = product["variants"][0]
    whole = f"/api/v1/products/{product['id']}"

    def titles() -> list[str]:
        return [row["title"] for row in shop.api.get(whole).json["variants"]]

    add(shop, product, options=SIZES)
    assert titles() == ["Default", "M"]
    choice = {"title": "S", "options": [{"name": "Size", "value": "S"}]}
    made = shop.api.patch(path(product, first), choice).json
    assert made["inventory"] == first["inventory"]
    assert titles() == ["S", "M"]
    assert shop.api.delete(path(product, first)).status == 204
    assert titles() == ["M"]


def test_a_product_keeps_its_last_variant_and_those_that_were_sold(
    shop: Shop, product: dict[str, Any]
) -> None:
    (default,) = product["variants"]
    assert shop.api.delete(path(product, default)).code == "last_variant"
    sold, spare = add(shop, product, inventory={"quantity": 2}).json, add(shop, product).json
    shop.order((sold["id"], 1))
    assert shop.api.delete(path(product, sold)).code == "variant_in_use"
    assert shop.api.delete(path(product, spare)).status == 204
    assert shop.api.get(path(product, spare)).code == "not_found"


def test_a_variant_of_another_product_is_not_found(shop: Shop, product: dict[str, Any]) -> None:
    (foreign,) = shop.product()["variants"]
    for call in (shop.api.get, shop.api.delete, partial(shop.api.patch, body={"title": "x"})):
        assert call(path(product, foreign)).status == 404


def test_amounts_are_exact_and_keys_single(shop: Shop, product: dict[str, Any]) -> None:
    refused = add(shop, product, price=Decimal("1.005"))
    assert (refused.code, refused.json["errors"][0]["pointer"]) == ("inexact_amount", "/price")
    add(shop, product, sku="ONE", external_id="one")
    assert add(shop, product, sku="ONE").code == "sku_taken"
    assert add(shop, product, external_id="one").code == "external_id_taken"


def test_an_edit_of_an_older_version_changes_nothing(shop: Shop, product: dict[str, Any]) -> None:
    target = path(product, product["variants"][0])
    etag = shop.api.get(target).headers["ETag"]
    assert shop.api.patch(target, {"title": "x"}, headers={"If-Match": etag}).status == 200
    assert shop.api.patch(target, {"title": "y"}, headers={"If-Match": etag}).status == 412
    assert shop.api.delete(target, headers={"If-Match": etag}).status == 412


def test_a_page_script_sees_no_cost(shop: Shop, product: dict[str, Any]) -> None:
    variant = add(shop, product, cost_price=Decimal("7.00")).json
    key = shop.api.post("/api/v1/api_keys", {"name": "page", "kind": "publishable"}).json["key"]
    page = shop.api.with_token(key)
    assert variant["cost_price"] == Decimal("7.00")
    assert page.get(path(product, variant)).json["cost_price"] is None
    assert {row["cost_price"] for row in page.get(path(product)).json["data"]} == {None}
    shop.api.patch(f"/api/v1/products/{product['id']}", {"status": "draft"})
    assert page.get(path(product)).status == 404


def test_two_who_add_the_same_options_at_once_leave_one(
    app: App, shop: Shop, product: dict[str, Any]
) -> None:
    answers = together(*(partial(add, shop, product, options=SIZES) for _ in range(6)))
    assert outcomes(answers) == {(201, ""): 1, (409, "options_taken"): 5}
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        query = text(
            "SELECT count(*), count(DISTINCT position) FROM variants WHERE product_id = :p"
        )
        assert session.execute(query, {"p": product["id"]}).one() == (2, 2)
