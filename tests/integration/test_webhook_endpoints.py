"""What an endpoint is sent, what is shown of it, its secrets, tests and end; a guide's receiver."""

import os
import re
import socket
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from shop_api.domains.webhooks.tasks import keep_house
from shop_api.kernel.clock import utc_now
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.spine.jobs import WorkerContext
from shop_api.webhooks.signing import SecretCipher
from tests.fixtures.api import ApiClient, Shop
from tests.fixtures.processes import free_port, running, wait_until
from tests.fixtures.stores import SECRET_KEY, Database
from tests.fixtures.webhooks import (
    DELIVERIES,
    ENDPOINTS,
    LOOPBACK,
    Answer,
    Receiver,
    announce,
    attempts,
    deliveries,
    following,
    make_endpoint,
    make_fan_out,
    make_sender,
    receiving,
    webhooks,
)

APP_SETTINGS = {"webhook_allowed_networks": LOOPBACK, "cache_bytes": 0}
GUIDE = Path("docs/guides/webhooks.md")


def test_who_made_an_endpoint_decides_what_it_is_sent(
    shop: Shop, other_shop: Shop, api: ApiClient, database: Database
) -> None:
    """By scopes, by filter, without e-mail addresses, from its making on, and of its tenant."""
    customer = shop.api.post("/api/v1/customers", {"email": "ada@example.com"}).json
    product = shop.product()
    body = {
        "customer_id": customer["id"],
        "lines": [{"variant_id": product["variants"][0]["id"], "quantity": 1}],
    }
    scopes = ["orders:read", "webhooks:read", "webhooks:write"]
    key = shop.api.post("/api/v1/api_keys", {"name": "weak", "scopes": scopes}).json["key"]
    weak = Shop(shop.tenant_id, shop.slug, shop.email, api.with_token(key))
    with receiving() as receiver, ExitStack() as stack:
        # nobody has read this one when the endpoints are made
        shop.api.post("/api/v1/orders", body)
        make_endpoint(shop, receiver.url("/all"))
        make_endpoint(shop, receiver.url("/stock"), event_types=["inventory_updated"])
        make_endpoint(weak, receiver.url("/weak"))
        make_endpoint(other_shop, receiver.url("/other"))
        stack.enter_context(webhooks(database))
        other_shop.product()
        order = shop.api.post("/api/v1/orders", body).json
        shop.product(name="Last")
        wait_until(lambda: receiver.of("/all")[-1:] != [] and _last(receiver) == "product_created")
        wait_until(lambda: not deliveries(shop, state="pending"))
        created = {path: _created(receiver, path) for path in ("/all", "/weak")}
        assert [data["order_id"] for data in created["/all"]] == [order["id"]]
        assert created["/all"][0]["customer_email"] == "ada@example.com"
        assert [data["order_id"] for data in created["/weak"]] == [order["id"]]
        assert "customer_email" not in created["/weak"][0]
        assert {m.json["type"] for m in receiver.of("/weak")} == {"order_created"}
        assert {m.json["type"] for m in receiver.of("/stock")} == {"inventory_updated"}
        assert {m.json["type"] for m in receiver.of("/other")} == {"product_created"}
        assert not {m.id for m in receiver.of("/other")} & {m.id for m in receiver.of("/all")}
        # what is shown of it is what the reader may see
        (delivery,) = [
            found
            for found in deliveries(shop, event_type="order_created")
            if found["message_id"] in {m.id for m in receiver.of("/all")}
        ]
        path = f"{DELIVERIES}/{delivery['id']}"
        assert "ada@example.com" in shop.api.get(path).json["request_body"]
        assert "customer_email" not in weak.api.get(path).json["request_body"]
        # nor what the receiver says of it, which may repeat it
        shown, hidden = (s.api.get(path).json["attempts"][0] for s in (shop, weak))
        assert (shown["status"], shown["response_body"]) == (hidden["status"], "")
        assert hidden["response_body"] is hidden["response_headers"] is None
        assert other_shop.api.get(path).status == 404
        # once she is erased, nothing that is sent names her any more
        assert shop.api.post(f"/api/v1/customers/{customer['id']}/erase").status < 300
        assert shop.api.post(f"{path}/redeliver").status == 200
        wait_until(lambda: len(_created(receiver, "/all")) == 2)
        assert _created(receiver, "/all")[1]["customer_email"] is None


def _created(receiver: Receiver, path: str) -> list[dict[str, Any]]:
    return [m.json["data"] for m in receiver.of(path) if m.json["type"] == "order_created"]


def _last(receiver: Receiver) -> str:
    last: str = receiver.of("/all")[-1].json["type"]
    return last


def test_tests_rotation_ranges_and_the_end_of_an_endpoint(
    shop: Shop, database: Database, app_context: WorkerContext
) -> None:
    with receiving() as receiver, webhooks(database):
        endpoint = make_endpoint(shop, receiver.url(), event_types=["order_created"])
        other = make_endpoint(shop, receiver.url("/other"))
        path = f"{ENDPOINTS}/{endpoint['id']}"
        # a test goes to this endpoint alone, once, also while it is paused
        shop.api.patch(path, {"status": "paused"})
        receiver.answer = lambda _: Answer(500)
        answered = shop.api.post(f"{path}/test")
        assert answered.status == 202
        delivery_id = answered.json["delivery_id"]
        wait_until(lambda: len(deliveries(shop, state="failed")) == 1)
        assert [found["id"] for found in deliveries(shop)] == [delivery_id]
        assert receiver.messages[0].json["type"] == "webhook_test"
        assert answered.headers["Location"] == f"{DELIVERIES}/{delivery_id}"
        receiver.answer = lambda _: Answer()
        shop.api.patch(path, {"status": "active"})
        # both secrets sign, until the older one's time is over
        rotated = shop.api.post(f"{path}/rotate_secret", {"overlap_seconds": 2}).json
        announce(database, shop, UUID(int=1))
        wait_until(lambda: len(receiver.of("/hooks")) == 2)
        message = receiver.of("/hooks")[-1]
        for secret in (endpoint["secret"], rotated["secret"]):
            Webhook(secret).verify(message.body, message.headers)
        wait_until(
            lambda: utc_now() > datetime.fromisoformat(rotated["previous_secret_expires_at"])
        )
        announce(database, shop, UUID(int=2))
        wait_until(lambda: len(receiver.of("/hooks")) == 3)
        message = receiver.of("/hooks")[-1]
        Webhook(rotated["secret"]).verify(message.body, message.headers)
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(endpoint["secret"]).verify(message.body, message.headers)
        # all of a time again, of this endpoint alone
        wait_until(lambda: not deliveries(shop, state="pending"))
        made = deliveries(shop, endpoint_id=endpoint["id"])
        bounds = {"from": made[1]["created_at"], "to": utc_now().isoformat()}
        answered = shop.api.post(f"{path}/redeliver", {**bounds, "states": ["delivered"]})
        assert answered.json == {"count": 2, "has_more": False}
        wait_until(lambda: len(receiver.of("/hooks")) == 5)
        again = receiver.of("/hooks")
        assert {m.id for m in again[3:]} == {m.id for m in again[1:3]}
        assert len(receiver.of("/other")) == 2
        refused = shop.api.post(f"{path}/redeliver", {"from": bounds["to"], "to": bounds["from"]})
        assert (refused.status, refused.code) == (422, "bounds_cross")
        # deleted, it is sent nothing; its deliveries go with the housekeeping
        assert shop.api.delete(path).status == 204
        assert shop.api.get(path).status == 404
        announce(database, shop, UUID(int=3))
        wait_until(lambda: len(receiver.of("/other")) == 3)
        assert len(receiver.of("/hooks")) == 5
        wait_until(lambda: not deliveries(shop, endpoint_id=other["id"], state="pending"))
        keep_house(app_context, SecretCipher(SecretKeys.of(SECRET_KEY, [])), utc_now())
        assert deliveries(shop, endpoint_id=endpoint["id"]) == []
        assert len(deliveries(shop)) == 3
        later = utc_now() + timedelta(days=31)
        keep_house(app_context, SecretCipher(SecretKeys.of("n" * 32, [SECRET_KEY])), later)
        assert deliveries(shop) == []
        announce(database, shop, UUID(int=4))
        wait_until(lambda: len(deliveries(shop)) == 1)
    # encrypted anew by the housekeeping: the old key can go
    with receiving() as receiver, following(make_sender(database, secret_key="n" * 32)):
        assert shop.api.patch(f"{ENDPOINTS}/{other['id']}", {"url": receiver.url()}).status == 200
        assert shop.api.post(f"{ENDPOINTS}/{other['id']}/test").status == 202
        with following(make_fan_out(database)):
            wait_until(lambda: len(receiver.messages) >= 1)
        Webhook(other["secret"]).verify(receiver.messages[0].body, receiver.messages[0].headers)


@pytest.fixture
def app_context(database: Database, tmp_path: Any) -> WorkerContext:
    return WorkerContext(
        settings=database.settings(tmp_path, "redis://"),
        engine=database.engine,
        exporter_engine=database.exporter_engine,
        waker=database.waker,
        redis=None,  # type: ignore[arg-type]
    )


def test_the_receiver_of_the_guide_takes_what_is_signed_and_each_message_once(
    shop: Shop, database: Database, tmp_path: Path
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    script, log, port = tmp_path / "receiver.py", tmp_path / "log", free_port()
    script.write_text(example)
    endpoint = make_endpoint(shop, f"http://127.0.0.1:{port}/", event_types=["order_created"])
    environment = {**os.environ, "WEBHOOK_SECRET": endpoint["secret"], "PORT": str(port)}
    with running([str(script)], environment, log):
        wait_until(lambda: _takes_connections(port))
        with webhooks(database):
            announce(database, shop, UUID(int=1))
            wait_until(lambda: len(deliveries(shop, state="delivered")) == 1)
            (delivery,) = deliveries(shop)
            assert shop.api.post(f"{DELIVERIES}/{delivery['id']}/redeliver").status == 200
            wait_until(lambda: attempts(shop) == [2])
            # whoever has another secret is refused
            shop.api.post(f"{ENDPOINTS}/{endpoint['id']}/rotate_secret", {"overlap_seconds": 0})
            announce(database, shop, UUID(int=2))
            wait_until(lambda: len(deliveries(shop)) == 2)
            wait_until(lambda: deliveries(shop)[1]["last_status"] == 401)
    told = [line for line in log.read_text().splitlines() if "order_created" in line]
    assert told == [f'{delivery["event_id"]} order_created {{"order_id": "{UUID(int=1)}"}}']


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
