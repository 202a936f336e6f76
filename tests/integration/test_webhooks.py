"""Events reach who asked for them, signed, once each, in order per subject, come what may."""

from typing import Any

from standardwebhooks import Webhook

from tests.fixtures.api import Shop
from tests.fixtures.processes import wait_until
from tests.fixtures.stores import Database
from tests.fixtures.webhooks import LOOPBACK, receiving, webhooks

APP_SETTINGS = {"webhook_allowed_networks": LOOPBACK, "cache_bytes": 0}
ENDPOINTS = "/api/v1/webhook_endpoints"
DELIVERIES = "/api/v1/webhook_deliveries"


def make_endpoint(shop: Shop, url: str, **body: Any) -> dict[str, Any]:
    answered = shop.api.post(ENDPOINTS, {"url": url, **body})
    assert answered.status == 201, answered.body
    endpoint: dict[str, Any] = answered.json
    return endpoint


def deliveries(shop: Shop, **filters: Any) -> list[dict[str, Any]]:
    """Oldest first."""
    query = {"limit": 100, "order": "asc", **filters}
    answered = shop.api.get(DELIVERIES, query=query)
    assert answered.status == 200, answered.body
    found: list[dict[str, Any]] = answered.json["data"]
    return found


def test_an_order_is_sent_signed_and_the_log_tells_it(shop: Shop, database: Database) -> None:
    product = shop.product(price="19.90")
    with receiving() as receiver, webhooks(database):
        endpoint = make_endpoint(shop, receiver.url(), event_types=["order_created"])
        order = shop.order((product["variants"][0]["id"], 2)).json
        wait_until(lambda: len(receiver.messages) == 1)
        (message,) = receiver.messages
        Webhook(endpoint["secret"]).verify(message.body, message.headers)
        sent = message.json
        assert list(sent) == ["type", "timestamp", "data", "id"]
        assert sent["type"] == "order_created"
        assert sent["data"]["order_id"] == order["id"]
        assert b'"total_amount": 39.80' in message.body
        wait_until(lambda: deliveries(shop)[0]["state"] == "delivered")
        (delivery,) = deliveries(shop)
        assert delivery["message_id"] == message.id
        assert delivery["event_id"] == sent["id"]
        told = shop.api.get(f"{DELIVERIES}/{delivery['id']}").json
        assert told["request_body"].encode() == message.body
        (attempt,) = told["attempts"]
        assert attempt["status"] == 204
        assert (
            attempt["request_headers"]["webhook-signature"]
            == (message.headers["webhook-signature"])
        )
