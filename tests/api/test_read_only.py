"""What was read and is sent back: fields that are only shown say so, and what to do instead."""

from typing import Any

import pytest

from tests.fixtures.api import Answered, Shop

PRODUCTS = "/api/v1/products"
ADJUSTED = "Read-only here: leave it out; stock is changed by POST /api/v1/inventory/adjustments"
PLAIN = "Read-only here: leave it out."


@pytest.fixture
def product(shop: Shop) -> dict[str, Any]:
    category = shop.api.post("/api/v1/categories", {"name": "Mugs", "slug": "mugs"}).json["id"]
    return shop.product(category_ids=[category], status="active")


def told(refused: Answered) -> dict[str, str]:
    assert (refused.status, refused.code) == (422, "validation_failed")
    return {error["pointer"]: error["detail"] for error in refused.json["errors"]}


def without(shown: dict[str, Any], pointers: dict[str, str]) -> dict[str, Any]:
    """The object without the fields that were refused."""
    return {
        name: without(value, {p.removeprefix(f"/{name}"): d for p, d in pointers.items()})
        if isinstance(value, dict)
        else value
        for name, value in shown.items()
        if f"/{name}" not in pointers
    }


def test_a_product_sent_back_as_it_is_told_stays_in_its_categories(
    shop: Shop, product: dict[str, Any]
) -> None:
    path = f"{PRODUCTS}/{product['id']}"
    details = told(shop.api.put(path, product))
    assert details["/categories"] == "Read-only here: leave it out; send `category_ids`."
    assert details["/inventory"] == f"{ADJUSTED}, how it is kept by PATCH of a variant."
    assert details["/variants"].endswith("at /api/v1/products/{id}/variants.")
    assert details["/images"].endswith("at /api/v1/products/{id}/images.")
    assert details["/created_at"] == PLAIN
    body = without(product, details)
    body["category_ids"] = [category["id"] for category in product["categories"]]
    replaced = shop.api.put(path, body).json
    assert replaced == {**product, "updated_at": replaced["updated_at"]}
    del body["status"]
    assert shop.api.put(path, body).json["status"] == "draft"


def test_a_variant_sent_back_is_told_how_stock_is_changed(
    shop: Shop, product: dict[str, Any]
) -> None:
    path = f"{PRODUCTS}/{product['id']}/variants/{product['variants'][0]['id']}"
    variant = shop.api.get(path).json
    details = told(shop.api.put(path, variant))
    assert details["/inventory/quantity"] == f"{ADJUSTED}."
    assert details["/inventory/reserved_quantity"] == details["/position"] == PLAIN
    assert details["/inherits_price"].endswith("; `price` null makes it the product's.")
    body = {**without(variant, details), "price": None}
    replaced = shop.api.put(path, body).json
    assert replaced == {**variant, "updated_at": replaced["updated_at"]}
    assert replaced["inherits_price"]


def test_what_nobody_knows_is_no_read_only_field(shop: Shop, product: dict[str, Any]) -> None:
    path = f"{PRODUCTS}/{product['id']}/variants/{product['variants'][0]['id']}"
    sent = {"colour": 1, "inventory": {"quantity": 1, "colour": 1}}
    assert told(shop.api.patch(path, sent)) == {
        "/colour": "Unknown field.",
        "/inventory/colour": "Unknown field.",
        "/inventory/quantity": f"{ADJUSTED}.",
    }


def test_read_only_fields_in_a_list_are_told_where_they_are(shop: Shop) -> None:
    variants = [{"title": "M"}, {"title": "L", "id": "x", "inventory": {"available_quantity": 1}}]
    assert told(shop.api.post(PRODUCTS, {"name": "Mug", "price": 1, "variants": variants})) == {
        "/variants/1/id": PLAIN,
        "/variants/1/inventory/available_quantity": PLAIN,
    }
