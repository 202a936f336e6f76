"""A ticket from the api opens one connection, which hears of an order placed over HTTP."""

from pathlib import Path

import pytest

from shop_api.app import App
from shop_api.realtime.tickets import redeem_ticket
from tests.fixtures.api import Shop
from tests.fixtures.realtime import Socket, realtime_process, relaying
from tests.fixtures.stores import Database

# what becomes of a credential is seen at once
APP_SETTINGS = {"credential_cache_seconds": 0.0}

PATH = "/api/v1/realtime/tickets"


def test_a_ticket_is_a_secret_for_one_use(app: App, shop: Shop) -> None:
    answered = shop.api.post(PATH)
    assert answered.status == 201
    assert answered.headers["Cache-Control"] == "no-store"
    assert answered.json["expires_in"] == 60
    assert answered.json["ticket"].startswith("tk_")
    holder = redeem_ticket(app.services.redis, answered.json["ticket"])
    assert holder is not None
    assert holder.tenant_id == shop.tenant_id
    assert "events:read" in holder.scopes
    assert (holder.limits.subscriptions, holder.limits.mutations) == (500, 1_000_000_000)
    assert redeem_ticket(app.services.redis, answered.json["ticket"]) is None
    assert redeem_ticket(app.services.redis, "") is None


def test_the_same_key_gives_the_same_ticket(shop: Shop) -> None:
    first = shop.api.post(PATH, key="ticket-1")
    second = shop.api.post(PATH, key="ticket-1")
    assert first.body == second.body
    assert second.headers["Idempotency-Replayed"] == "true"


def test_a_ticket_expires(app: App, shop: Shop) -> None:
    shop.api.post(PATH)
    keys = app.services.redis.keys("ticket:*")
    assert isinstance(keys, list)
    assert {0 < app.services.redis.ttl(key) <= 60 for key in keys} == {True}


@pytest.mark.parametrize("scopes", [["orders:read"], ["catalog:read", "customers:read"]])
def test_a_ticket_needs_the_scope_to_listen(shop: Shop, scopes: list[str]) -> None:
    key = shop.api.post("/api/v1/api_keys", {"name": "narrow", "scopes": scopes}).json["key"]
    answered = shop.api.with_token(key).post(PATH)
    assert (answered.status, answered.code) == (403, "insufficient_scope")
    assert shop.api.with_token(None).post(PATH).status == 401


def test_an_order_placed_over_http_reaches_the_socket(
    app: App, database: Database, shop: Shop, redis_url: str, tmp_path: Path
) -> None:
    with (
        relaying(database.exporter_url, redis_url),
        realtime_process(app.services.settings, tmp_path / "log") as process,
    ):
        variant_id = shop.product()["variants"][0]["id"]
        socket = Socket(process.port, shop.api.post(PATH).json["ticket"])
        assert socket.receive()["type"] == "connected"
        socket.send(type="unsubscribe")
        socket.send(type="subscribe", types=["order_created", "order_status_changed"])
        socket.receive_many(2)
        order = shop.order((variant_id, 2)).json
        created = socket.receive()
        assert created["type"] == "order_created"
        assert created["data"]["order_id"] == order["id"]
        assert created["data"]["total_amount"] == 39.8
        assert created["data"]["currency"] == "USD"
        assert created["data"]["status"] == "pending"
        shop.api.post(f"/api/v1/orders/{order['id']}/cancel", {})
        changed = socket.receive()
        assert changed["type"] == "order_status_changed"
        assert (changed["data"]["old_status"], changed["data"]["new_status"]) == (
            "pending",
            "cancelled",
        )
        socket.close()
