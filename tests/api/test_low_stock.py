"""A shop is told once when stock falls to its alert, and when it has risen again."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import select

from shop_api.db.tenancy import tenant_session
from shop_api.models import events
from tests.fixtures.api import Shop
from tests.fixtures.stores import Database

ADJUSTMENTS = "/api/v1/inventory/adjustments"
ALERT = 3


def told(shop: Shop) -> list[Any]:
    """The notifications of low stock, oldest first, and whether each is over."""
    found = shop.api.get("/api/v1/notifications", query={"kind": "low_stock"}).json["data"]
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


def test_a_crossing_is_told_where_the_alert_was_changed_meanwhile(shop: Shop) -> None:
    stock = {"quantity": 12, "low_stock_alert": 10}
    product = shop.product(name="Mug", variants=[{"title": "Red", "inventory": stock}])
    variant_id = product["variants"][0]["id"]
    adjust(shop, variant_id, -4)
    assert [one["data"]["available_quantity"] for one in told(shop)] == [8]
    path = f"/api/v1/products/{product['id']}/variants/{variant_id}"
    assert shop.api.patch(path, {"inventory": {"low_stock_alert": ALERT}}).status == 200
    # above the new alert all the time, and then down to it
    adjust(shop, variant_id, 12)
    adjust(shop, variant_id, -18)
    found = [(one["data"]["available_quantity"], one["resolved_at"] is None) for one in told(shop)]
    assert found == [(8, False), (2, True)]


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
