"""A shop is told once when stock falls to its alert, and when it has risen again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from shop_api.db.tenancy import tenant_session
from shop_api.models import events, variants
from tests.fixtures.api import Answered, Shop
from tests.fixtures.statements import statements
from tests.fixtures.stores import Database

ADJUSTMENTS = "/api/v1/inventory/adjustments"
ALERT = 3


def told(shop: Shop) -> list[Any]:
    """The notifications of low stock, oldest first, and whether each is over."""
    found = shop.api.get("/api/v1/notifications", query={"kind": "low_stock", "limit": 100}).json[
        "data"
    ]
    return found[::-1]


def alerted(shop: Shop, quantity: int) -> str:
    stock = {"quantity": quantity, "low_stock_alert": ALERT}
    product = shop.product(
        name="Mug", variants=[{"title": "Red", "sku": "MUG", "inventory": stock}]
    )
    return str(product["variants"][0]["id"])


def adjust(shop: Shop, variant_id: str, delta: int) -> None:
    body = {"adjustments": [{"variant_id": variant_id, "delta": delta}]}
    assert shop.api.post(ADJUSTMENTS, body).status == 200


def alerts(database: Database, shop: Shop) -> list[bool]:
    """Of each change of stock whether its event says that it crossed the alert."""
    told_in = select(events.c.data["threshold_alert"].as_boolean()).order_by(events.c.sequence)
    with tenant_session(database.engine, shop.tenant_id) as session:
        found = session.execute(told_in.where(events.c.type == "inventory_updated"))
        return [bool(one) for one in found.scalars()]


def test_each_crossing_is_told_once(shop: Shop, database: Database) -> None:
    variant_id = alerted(shop, 6)
    assert shop.order((variant_id, 2)).status == 201
    assert told(shop) == []
    order = shop.order((variant_id, 1)).json
    [first] = told(shop)
    assert (first["level"], first["title"]) == ("warning", "Stock is low: Mug – Red")
    assert "3 of Mug – Red left to sell at " in first["message"]
    assert (
        first["data"].items()
        >= {
            "variant_id": variant_id,
            "sku": "MUG",
            "available_quantity": 3,
            "low_stock_alert": ALERT,
        }.items()
    )
    assert shop.api.get(first["action_url"]).json["data"][0]["available_quantity"] == 3
    # lower still, and refused: nothing new
    adjust(shop, variant_id, -1)
    assert shop.order((variant_id, 9)).status == 409
    assert [one["id"] for one in told(shop)] == [first["id"]]
    assert first["resolved_at"] is None
    # up to the alert is no rise above it
    adjust(shop, variant_id, 1)
    assert told(shop)[0]["resolved_at"] is None
    assert shop.api.post(f"/api/v1/orders/{order['id']}/cancel").status == 200
    assert told(shop)[0]["resolved_at"] is not None
    adjust(shop, variant_id, -2)
    again = told(shop)
    assert [one["resolved_at"] is None for one in again] == [False, True]
    assert again[1]["data"]["available_quantity"] == 2
    assert alerts(database, shop) == [False, True, False, False, False, True]


def test_a_crossing_is_told_where_the_alert_was_changed_meanwhile(
    shop: Shop, database: Database
) -> None:
    stock = {"quantity": 12, "low_stock_alert": 10}
    product = shop.product(name="Mug", variants=[{"title": "Red", "inventory": stock}])
    variant_id = product["variants"][0]["id"]
    adjust(shop, variant_id, -4)
    assert [one["data"]["available_quantity"] for one in told(shop)] == [8]
    # not by a request, which would say that it is over: as by one while an order is placed
    with tenant_session(database.engine, shop.tenant_id) as session:
        changed = update(variants).where(variants.c.id == UUID(variant_id))
        session.execute(changed.values(low_stock_alert=ALERT))
    # above the new alert all the time, and then down to it
    adjust(shop, variant_id, 12)
    adjust(shop, variant_id, -18)
    found = [(one["data"]["available_quantity"], one["resolved_at"] is None) for one in told(shop)]
    assert found == [(8, False), (2, True)]


def open_alerts(shop: Shop) -> set[tuple[str, str]]:
    """The variants and locations of which it goes on that stock is low."""
    return {
        (one["data"]["variant_id"], one["data"]["location_id"])
        for one in told(shop)
        if one["resolved_at"] is None
    }


def test_it_is_over_when_the_alert_or_what_it_is_of_goes(shop: Shop) -> None:
    names = ("kept", "raised", "lowered", "replaced", "silenced", "deleted", "moved")
    stock = {"quantity": 5, "low_stock_alert": ALERT}
    plenty = {"title": "plenty", "inventory": {**stock, "quantity": 50}}
    product = shop.product(
        variants=[plenty, *({"title": name, "inventory": stock} for name in names)]
    )
    ids = {variant["title"]: variant["id"] for variant in product["variants"]}
    # what there is of another says nothing of these
    del ids["plenty"]
    single = shop.product(name="Single", inventory=stock)
    bulk = [shop.product(name="Bulk", inventory=stock) for _ in range(2)]
    alone = [one["variants"][0]["id"] for one in (single, *bulk)]
    here = shop.api.get("/api/v1/locations").json["data"][0]["id"]
    there = shop.api.post("/api/v1/locations", {"name": "There", "code": "there"}).json["id"]
    moves = [{"variant_id": variant_id, "delta": -3} for variant_id in (*ids.values(), *alone)]
    moved = {"variant_id": ids["moved"], "location_id": there}
    for adjusted in ([{**moved, "delta": 4}], [*moves, {**moved, "delta": -4}]):
        assert shop.api.post(ADJUSTMENTS, {"adjustments": adjusted}).status == 200
    going_on = {(variant_id, here) for variant_id in (*ids.values(), *alone)}
    going_on.add((ids["moved"], there))
    assert open_alerts(shop) == going_on

    path = f"/api/v1/products/{product['id']}/variants/"
    patch = shop.api.patch
    # two are left of each: neither an alert of two nor a higher one is above that
    assert patch(path + ids["kept"], {"inventory": {"low_stock_alert": 2}}).status == 200
    assert patch(path + ids["raised"], {"inventory": {"low_stock_alert": 9}}).status == 200
    assert patch(path + ids["kept"], {"title": "Kept"}).status == 200
    assert open_alerts(shop) == going_on
    replacement = {"title": "replaced", "options": []}
    changes: list[tuple[set[tuple[str, str]], Callable[[], Answered]]] = [
        (
            {(ids["lowered"], here)},
            lambda: patch(path + ids["lowered"], {"inventory": {"low_stock_alert": 1}}),
        ),
        ({(ids["replaced"], here)}, lambda: shop.api.put(path + ids["replaced"], replacement)),
        (
            {(ids["silenced"], here)},
            lambda: patch(path + ids["silenced"], {"inventory": {"low_stock_alert": None}}),
        ),
        ({(ids["deleted"], here)}, lambda: shop.api.delete(path + ids["deleted"])),
        ({(ids["moved"], there)}, lambda: shop.api.delete(f"/api/v1/locations/{there}")),
        ({(alone[0], here)}, lambda: shop.api.delete(f"/api/v1/products/{single['id']}")),
        (
            {(variant_id, here) for variant_id in alone[1:]},
            lambda: shop.api.call(
                "DELETE", "/api/v1/products/bulk-delete", {"ids": [one["id"] for one in bulk]}
            ),
        ),
    ]
    for over, change in changes:
        assert change().status in (200, 204)
        going_on -= over
        assert open_alerts(shop) == going_on
    assert going_on == {(ids[name], here) for name in ("kept", "raised", "moved")}


def test_what_crosses_together_takes_as_many_statements_as_one(shop: Shop) -> None:
    stock = {"quantity": 5, "low_stock_alert": ALERT}
    counts = {}
    for size in (1, 60):
        product = shop.product(
            variants=[{"title": f"V{v}", "inventory": stock} for v in range(size)]
        )
        ids = [variant["id"] for variant in product["variants"]]
        for delta in (-2, 2, 0):
            body = [{"variant_id": variant_id, "delta": delta} for variant_id in ids]
            with statements(shop.api.app.services.engine) as sent:
                assert shop.api.post(ADJUSTMENTS, {"adjustments": body}).status == 200
            counts[size, delta] = len(sent)
    assert len(told(shop)) == 61
    # besides what an adjustment takes: the names and the notifications; those that are over
    ordinary = counts[1, 0]
    assert counts == {
        (size, delta): ordinary + more
        for size in (1, 60)
        for delta, more in ((-2, 2), (2, 1), (0, 0))
    }


def test_a_refused_order_tells_nothing_and_no_alert_no_notification(shop: Shop) -> None:
    variant_id, silent = alerted(shop, 4), shop.product(quantity=2)["variants"][0]["id"]
    assert shop.order((silent, 2)).status == 201
    refused = shop.api.post(
        "/api/v1/orders",
        {"lines": [{"variant_id": variant_id, "quantity": 4}], "discount_codes": ["NOTHING"]},
    )
    assert refused.status == 422
    assert told(shop) == []


def test_of_many_orders_at_once_one_crosses(shop: Shop) -> None:
    variant_id = alerted(shop, 9)
    with ThreadPoolExecutor(8) as pool:
        placed = list(pool.map(lambda _: shop.order((variant_id, 1)).status, range(12)))
    assert placed.count(201) == 9
    [one] = told(shop)
    assert one["data"]["available_quantity"] == ALERT
