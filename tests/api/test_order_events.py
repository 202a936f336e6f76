"""What events say of orders and products: exact amounts, and no personal data of their own."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.json import encode_json
from shop_api.db.tenancy import tenant_session
from shop_api.domains.orders.repository import numbered_order
from shop_api.kernel.clock import utc_now
from shop_api.kernel.errors import DomainError
from shop_api.realtime.event_log import EventLog
from shop_api.spine.relay import channel_of
from shop_api.spine.unit_of_work import Origin, unit_of_work
from tests.factories.pricing import AN_ORDERS_AMOUNTS
from tests.fixtures.api import Shop
from tests.fixtures.realtime import relaying
from tests.fixtures.stores import Database


def first_variant(product: dict[str, Any]) -> str:
    found: str = product["variants"][0]["id"]
    return found


def stored(app: App, shop: Shop, type_: str) -> str:
    """The data of the last event of a type, as Postgres has it."""
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        query = "SELECT data::text FROM events WHERE type = :t ORDER BY sequence DESC LIMIT 1"
        return str(session.execute(text(query), {"t": type_}).scalar_one())


def test_amounts_have_their_currencys_digits(app: App, shop: Shop) -> None:
    product = shop.product("9.90")
    shop.api.patch(f"/api/v1/products/{product['id']}", {"price": Decimal("9.9"), "cost_price": 4})
    assert '"price": 9.90' in stored(app, shop, "product_updated")
    assert '"cost_price": 4.00' in stored(app, shop, "product_updated")
    order = shop.order((first_variant(product), 1)).json
    assert '"total_amount": 9.90' in stored(app, shop, "order_created")
    payment = {"method": "cash", "amount": 5}
    shop.api.post(f"/api/v1/orders/{order['id']}/payments", payment)
    assert '"amount": 5.00' in stored(app, shop, "order_paid")
    shop.api.post(f"/api/v1/orders/{order['id']}/cancel")
    assert '"amount": 5.00' in stored(app, shop, "order_refunded")


def test_a_customers_address_is_looked_up_when_the_event_is_read(
    app: App, shop: Shop, database: Database, redis_url: str
) -> None:
    body = {"first_name": "Ada", "email": "ada@example.com"}
    customer_id = shop.api.post("/api/v1/customers", body).json["id"]
    line = {"variant_id": first_variant(shop.product()), "quantity": 1}
    log = EventLog(app.services.engine, utc_now)
    position = log.position(shop.tenant_id)
    with redis.Redis.from_url(redis_url) as client, client.pubsub() as channel:
        channel.subscribe(channel_of(shop.tenant_id))
        with relaying(database.exporter_url, redis_url):
            order = {"lines": [line], "customer_id": customer_id}
            assert shop.api.post("/api/v1/orders", order).status == 201
            published = next_created(channel)
    assert published["customer_email"] == "ada@example.com"
    assert "ada@example.com" not in stored(app, shop, "order_created")

    def read_again() -> dict[str, Any]:
        events = log.after(shop.tenant_id, position)
        created = next(event for event in events if event.type == "order_created")
        found: dict[str, Any] = json.loads(bytes(created.data))
        return found

    assert read_again()["customer_email"] == "ada@example.com"
    shop.api.patch(f"/api/v1/customers/{customer_id}", {"email": None})
    assert read_again()["customer_email"] is None


def next_created(channel: redis.client.PubSub) -> dict[str, Any]:
    """The data of the next `order_created` on the channel."""
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while datetime.now(UTC) < deadline:
        message = channel.get_message(ignore_subscribe_messages=True, timeout=1)
        if message is not None and b'"order_created"' in message["data"]:
            data: dict[str, Any] = json.loads(message["data"])["data"]
            return data
    pytest.fail("no order_created was published")


def test_a_variant_deleted_while_it_is_ordered_is_not_found(app: App, shop: Shop) -> None:
    """Its offer was found, and then it was deleted: nothing of it was held, being untracked."""
    line = {
        "id": uuid4(),
        "position": 0,
        "product_id": uuid4(),
        "variant_id": uuid4(),
        "location_id": None,
        "title": "Gone",
        "sku": None,
        "quantity": 1,
        "unit_price": 1,
        "unit_cost": None,
        "subtotal": 1,
        **dict.fromkeys(("discount_total", "tax_rate_ratio", "tax_total"), 0),
        "total": 1,
    }
    arguments = {
        **AN_ORDERS_AMOUNTS,
        "id": UUID(int=1),
        "customer_id": None,
        "channel": "web",
        "currency": "USD",
        "subtotal": 1,
        "total": 1,
        "note": None,
        "hold_expires_at": None,
        "external_id": None,
        "session_id": None,
        "now": datetime.now(UTC),
        "lines": encode_json([line]),
    }
    origin = Origin(shop.tenant_id, "system:test", "request-1", datetime.now(UTC))
    with (
        pytest.raises(DomainError) as refused,
        unit_of_work(app.services.engine, app.services.waker, origin) as work,
    ):
        work.numbered = numbered_order(arguments)
    assert refused.value.code == "variant_not_found"
