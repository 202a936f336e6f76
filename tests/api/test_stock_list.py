"""Stock levels: listed by variant and location, found by product and when low; why they moved."""

from typing import Any

import pytest

from shop_api.domains.inventory.schemas import ADJUSTMENT_REASONS
from tests.fixtures.api import Shop

INVENTORY = "/api/v1/inventory"


def levels(shop: Shop, **query: Any) -> list[tuple[str, int]]:
    """(variant, available) of each level that the filters leave."""
    rows = shop.api.get(INVENTORY, query={"limit": 100, **query}).json["data"]
    return [(row["variant_id"], row["available_quantity"]) for row in rows]


def test_stock_is_walked_by_variant_and_location(shop: Shop) -> None:
    path = "/api/v1/inventory"
    shelf = shop.api.post("/api/v1/locations", {"name": "Shelf", "code": "shelf-1"}).json["id"]
    adjustments = []
    for _ in range(4):
        variant_id = shop.product()["variants"][0]["id"]
        adjustments.append({"variant_id": variant_id, "location_id": shelf, "quantity": 3})
    shop.api.post("/api/v1/inventory/adjustments", {"adjustments": adjustments})
    everything = shop.api.get(path, query={"limit": 100, "include_total": "true"}).json
    keys = [(row["variant_id"], row["location_id"]) for row in everything["data"]]
    assert everything["total"] == len(keys) == len(set(keys))
    assert keys == sorted(keys)
    seen = []
    after: dict[str, str] = {}
    while True:
        page = shop.api.get(path, query={"limit": 3, **after}).json
        seen += [(row["variant_id"], row["location_id"]) for row in page["data"]]
        if not page["page_info"]["has_next_page"]:
            break
        after = {"after": page["page_info"]["end_cursor"]}
    assert seen == keys
    on_shelf = shop.api.get(path, query={"location_id": shelf}).json["data"]
    assert len(on_shelf) == 4


def test_stock_is_found_by_product(shop: Shop) -> None:
    sizes = [{"title": size, "inventory": {"quantity": 4}} for size in "SML"]
    shirt, mug, _ = shop.product(variants=sizes), shop.product(), shop.product()
    of_shirt = sorted(variant["id"] for variant in shirt["variants"])
    assert levels(shop, product_id=shirt["id"]) == [(variant_id, 4) for variant_id in of_shirt]
    both = levels(shop, product_id=[shirt["id"], mug["id"]])
    assert len(both) == 4
    assert levels(shop, product_id=shirt["id"], variant_id=of_shirt[1]) == [(of_shirt[1], 4)]
    page = shop.api.get(INVENTORY, query={"product_id": shirt["id"], "include_total": "true"}).json
    assert page["total"] == 3


def test_stock_is_found_by_the_sku_it_is_shown_with(shop: Shop, other_shop: Shop) -> None:
    sizes = [
        {"title": "S", "sku": "SHIRT-S", "inventory": {"quantity": 1}},
        {"title": "M", "inventory": {"quantity": 2}},
        {"title": "L", "inventory": {"quantity": 3}},
    ]
    shirt = shop.product(sku="SHIRT", variants=sizes)
    shop.product(sku="MUG", quantity=4)
    other_shop.product(sku="SHIRT")
    small, medium, large = (variant["id"] for variant in shirt["variants"])
    assert levels(shop, sku="SHIRT-S") == [(small, 1)]
    assert levels(shop, sku="SHIRT") == sorted([(medium, 2), (large, 3)])
    assert levels(shop, sku="shirt") == levels(shop, sku="SHIRT-X") == []
    assert levels(shop, sku="SHIRT", variant_id=large) == [(large, 3)]
    page = shop.api.get(INVENTORY, query={"sku": "SHIRT", "include_total": "true"}).json
    assert page["total"] == 2
    assert {row["sku"] for row in page["data"]} == {"SHIRT"}


def test_what_is_low_is_found(shop: Shop) -> None:
    stock = {"quantity": 5, "low_stock_alert": 3}
    alerted = shop.product(variants=[{"title": "S", "inventory": stock}])["variants"][0]["id"]
    silent = shop.product(quantity=0)["variants"][0]["id"]
    assert levels(shop, low_stock="true") == []
    assert [variant_id for variant_id, _ in levels(shop, low_stock="false")] == sorted(
        [alerted, silent]
    )
    # what is held is not available
    shop.order((alerted, 2))
    assert levels(shop, low_stock="true") == [(alerted, 3)]
    assert levels(shop, low_stock="false") == [(silent, 0)]
    [low] = shop.api.get(INVENTORY, query={"low_stock": "true"}).json["data"]
    assert low["low_stock_alert"] == 3
    shelf = shop.api.post("/api/v1/locations", {"name": "Shelf", "code": "shelf-2"}).json["id"]
    assert levels(shop, low_stock="true", location_id=shelf) == []
    adjustment = {"variant_id": alerted, "location_id": shelf, "delta": 1}
    shop.api.post(f"{INVENTORY}/adjustments", {"adjustments": [adjustment]})
    assert levels(shop, low_stock="true", location_id=shelf) == [(alerted, 1)]
    refused = shop.api.get(INVENTORY, query={"low_stock": "yes"})
    assert (refused.status, refused.code) == (400, "invalid_parameter")


@pytest.mark.parametrize("reason", [*ADJUSTMENT_REASONS, None])
def test_the_ledger_tells_why(shop: Shop, reason: str | None) -> None:
    variant_id = shop.product()["variants"][0]["id"]
    body: dict[str, Any] = {"adjustments": [{"variant_id": variant_id, "delta": -1}]}
    told = reason or "adjusted"
    if reason:
        body["reason"] = reason
    assert shop.api.post(f"{INVENTORY}/adjustments", body).status == 200
    moved = shop.api.get(f"{INVENTORY}/movements", query={"reason": told}).json["data"]
    assert (moved[0]["reason"], moved[0]["quantity_delta"]) == (told, -1)
    [entry] = shop.api.get("/api/v1/audit_log", query={"action": "stock_adjusted"}).json["data"]
    assert entry["after"]["reason"] == told


def test_no_other_reason_is_taken(shop: Shop) -> None:
    adjustment = {"variant_id": shop.product()["variants"][0]["id"], "delta": 1}
    for reason in ("sold", "reserved", "imported", "because"):
        body = {"adjustments": [adjustment], "reason": reason}
        refused = shop.api.post(f"{INVENTORY}/adjustments", body)
        assert refused.json["errors"][0]["pointer"] == "/reason"
