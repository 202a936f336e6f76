"""Places where stock lies, and the ledger of what moved there."""

from functools import partial
from typing import Any
from uuid import uuid4

from tests.api.test_fulfillments import act, some
from tests.api.test_order_concurrency import outcomes, together
from tests.api.test_orders import pay, stock, variant_id
from tests.fixtures.api import Answered, Shop

LOCATIONS = "/api/v1/locations"
MOVEMENTS = "/api/v1/inventory/movements"


def location(shop: Shop) -> dict[str, Any]:
    body = {"name": "Shelf", "code": f"shelf-{uuid4().hex[:8]}"}
    made = shop.api.post(LOCATIONS, body)
    assert made.headers["Location"] == f"{LOCATIONS}/{made.json['id']}"
    found: dict[str, Any] = made.json
    return found


def put(shop: Shop, variant: str, place: dict[str, Any], delta: int) -> Answered:
    item = {"variant_id": variant, "location_id": place["id"], "delta": delta}
    body = {"adjustments": [item], "note": "Stocktake"}
    return shop.api.post("/api/v1/inventory/adjustments", body)


def default_of(shop: Shop) -> list[str]:
    page = shop.api.get(LOCATIONS, query={"limit": 100}).json["data"]
    return [row["id"] for row in page if row["is_default"]]


def test_a_location_is_changed_under_its_version(shop: Shop) -> None:
    made = location(shop)
    path = f"{LOCATIONS}/{made['id']}"
    etag = shop.api.get(path).headers["ETag"]
    changed = shop.api.patch(path, {"name": "Counter"}, headers={"If-Match": etag})
    assert (changed.status, changed.json["name"]) == (200, "Counter")
    assert shop.api.patch(path, {"name": "x"}, headers={"If-Match": etag}).status == 412
    other = location(shop)
    assert shop.api.patch(path, {"code": other["code"]}).code == "code_taken"


def test_one_location_is_the_default(shop: Shop) -> None:
    (first,) = default_of(shop)
    second = location(shop)
    path = f"{LOCATIONS}/{second['id']}"
    assert shop.api.patch(path, {"is_default": False}).status == 422
    assert shop.api.patch(path, {"is_default": True}).json["is_default"] is True
    assert default_of(shop) == [second["id"]]
    assert shop.api.delete(path).code == "default_location"
    # stock without a location is there now
    product = shop.product(quantity=3)
    query = {"variant_id": variant_id(product)}
    (level,) = shop.api.get("/api/v1/inventory", query=query).json["data"]
    assert level["location_id"] == second["id"]
    shop.api.patch(f"{LOCATIONS}/{first}", {"is_default": True})


def test_two_who_choose_the_default_at_once_leave_one(shop: Shop) -> None:
    (first,) = default_of(shop)
    paths = [f"{LOCATIONS}/{location(shop)['id']}" for _ in range(4)]
    calls = [partial(shop.api.patch, path, {"is_default": True}) for path in paths]
    assert outcomes(together(*calls)) == {(200, ""): 4}
    assert len(default_of(shop)) == 1
    shop.api.patch(f"{LOCATIONS}/{first}", {"is_default": True})


def test_only_an_empty_location_is_deleted(shop: Shop) -> None:
    variant = variant_id(shop.product())
    used = location(shop)
    path = f"{LOCATIONS}/{used['id']}"
    put(shop, variant, used, 2)
    assert shop.api.delete(path).code == "location_in_use"
    put(shop, variant, used, -2)
    assert shop.api.delete(path).status == 204
    assert shop.api.get(path).status == 404
    assert put(shop, variant, used, 1).code == "location_not_found"
    # the ledger keeps what was
    moved = shop.api.get(MOVEMENTS, query={"location_id": used["id"]}).json["data"]
    assert [row["quantity_delta"] for row in moved] == [-2, 2]
    of_a_till = location(shop)
    till = {"kind": "till", "name": "Till", "location_id": of_a_till["id"]}
    shop.api.post("/api/v1/sessions", till)
    assert shop.api.delete(f"{LOCATIONS}/{of_a_till['id']}").code == "location_in_use"


def test_goods_of_a_shelf_that_is_gone_come_back_to_the_default(shop: Shop) -> None:
    product, place = shop.product(quantity=0), location(shop)
    variant = variant_id(product)
    assert put(shop, variant, place, 1).status == 200
    order = shop.order((variant, 1)).json
    pay(shop, order)
    act(shop, order, "complete")
    assert shop.api.delete(f"{LOCATIONS}/{place['id']}").status == 204
    back = act(shop, order, "returns", some(order, 1))
    assert (back.status, back.json["lines"][0]["is_restocked"]) == (201, True)
    assert stock(shop, product) == (1, 0)
    moved = shop.api.get(MOVEMENTS, query={"reason": "returned"}).json["data"]
    assert [(m["location_id"], m["quantity_delta"]) for m in moved] == [(default_of(shop)[0], 1)]


def test_what_may_be_backordered_is_sold_after_its_shelf_is_gone(shop: Shop) -> None:
    (first,) = default_of(shop)
    backordered = {"quantity": 0, "allow_backorder": True}
    product = shop.product(inventory=backordered)
    sold_out = shop.product(quantity=0)
    shop.api.patch(f"{LOCATIONS}/{location(shop)['id']}", {"is_default": True})
    assert shop.api.delete(f"{LOCATIONS}/{first}").status == 204
    refused = shop.order((variant_id(product), 1), (variant_id(sold_out), 1))
    assert [error["pointer"] for error in refused.json["errors"]] == ["/lines/1/quantity"]
    calls = [partial(shop.order, (variant_id(product), 2), (variant_id(product), 1))] * 4
    assert outcomes(together(*calls)) == {(201, ""): 4}
    assert stock(shop, product) == (0, 12)
    (level,) = shop.api.get("/api/v1/inventory", query={"variant_id": variant_id(product)}).json[
        "data"
    ]
    assert level["location_id"] == default_of(shop)[0]


def test_stock_put_while_its_location_is_deleted_is_there_or_refused(shop: Shop) -> None:
    variant = variant_id(shop.product())
    for _ in range(8):
        place = location(shop)
        path = f"{LOCATIONS}/{place['id']}"
        put(shop, variant, place, 1)
        put(shop, variant, place, -1)
        deleted, moved = together(
            partial(shop.api.delete, path), partial(put, shop, variant, place, 1)
        )
        if deleted.status == 204:
            assert moved.code == "location_not_found"
        else:
            assert (deleted.code, moved.status) == ("location_in_use", 200)


def test_the_ledger_tells_every_movement_and_why(shop: Shop) -> None:
    product = shop.product(quantity=10)
    variant = variant_id(product)
    order = shop.order((variant, 4)).json
    shop.api.post(f"/api/v1/orders/{order['id']}/cancel")
    (home,) = default_of(shop)
    put(shop, variant, {"id": home}, -1)
    page = shop.api.get(MOVEMENTS, query={"variant_id": variant}).json["data"]
    told = [(row["reason"], row["quantity_delta"], row["reserved_delta"]) for row in page]
    assert told == [
        ("adjusted", -1, 0),
        ("released", 0, -4),
        ("reserved", 0, 4),
        ("adjusted", 10, 0),
    ]
    assert [row["order_id"] for row in page] == [None, order["id"], order["id"], None]
    assert page[0]["note"] == "Stocktake"
    assert page[0]["actor"].startswith("api_key:")
    of_order = shop.api.get(MOVEMENTS, query={"order_id": order["id"], "reason": "reserved"})
    assert [row["reason"] for row in of_order.json["data"]] == ["reserved"]
    later = shop.api.get(MOVEMENTS, query={"created_after": page[0]["created_at"]}).json["data"]
    assert later == []
