"""Events reach who asked for them, signed, once each, in order per subject, come what may."""

import threading
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from standardwebhooks import Webhook

from shop_api.domains.webhooks.tasks import keep_house
from shop_api.kernel.clock import utc_now
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.spine.jobs import WorkerContext
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.webhooks.schedule import DELAYS_SECONDS
from shop_api.webhooks.signing import SecretCipher
from tests.fixtures.api import ApiClient, Shop
from tests.fixtures.processes import wait_until
from tests.fixtures.stores import SECRET_KEY, Database
from tests.fixtures.webhooks import (
    LOOPBACK,
    Answer,
    Message,
    Receiver,
    following,
    make_fan_out,
    make_sender,
    receiving,
    webhooks,
)

APP_SETTINGS = {"webhook_allowed_networks": LOOPBACK, "cache_bytes": 0}
ENDPOINTS = "/api/v1/webhook_endpoints"
DELIVERIES = "/api/v1/webhook_deliveries"
NOTIFICATIONS = "/api/v1/notifications"


class Clock:
    """The present instant, or one ahead of it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


def make_endpoint(shop: Shop, url: str, **body: Any) -> dict[str, Any]:
    answered = shop.api.post(ENDPOINTS, {"url": url, **body})
    assert answered.status == 201, answered.body
    endpoint: dict[str, Any] = answered.json
    return endpoint


def get_endpoint(shop: Shop, endpoint: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = shop.api.get(f"{ENDPOINTS}/{endpoint['id']}").json
    return found


def deliveries(shop: Shop, **filters: Any) -> list[dict[str, Any]]:
    """Oldest first."""
    query = {"limit": 100, "order": "asc", **filters}
    answered = shop.api.get(DELIVERIES, query=query)
    assert answered.status == 200, answered.body
    found: list[dict[str, Any]] = answered.json["data"]
    return found


def attempts(shop: Shop, **filters: Any) -> list[int]:
    """Of each delivery, how many there were."""
    return [found["attempt_count"] for found in deliveries(shop, **filters)]


def announce(database: Database, shop: Shop, *subjects: UUID, type_: str = "order_created") -> None:
    """Commit an event about each, in one transaction."""
    origin = Origin(shop.tenant_id, "system:test", "test", utc_now())
    with unit_of_work(database.engine, database.waker, origin) as work:
        for subject in subjects:
            work.append(type_, "order", subject, {"order_id": str(subject)})


def execute(database: Database, statement: Any, *values: Any) -> None:
    """As the administrator."""
    with psycopg.connect(database.server.url(database.name)) as connection:
        connection.execute(statement, values)


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


def test_of_a_subject_the_next_waits_for_the_one_before_and_others_do_not(
    shop: Shop, database: Database
) -> None:
    """Each subject's second message fails twice; none of the later ones overtakes it."""
    subjects = [UUID(int=number) for number in range(1, 6)]
    failing = {str(subject) for subject in subjects}
    clock = Clock()
    failures: dict[str, int] = defaultdict(int)

    def answer(message: Message) -> Answer:
        position = [m.id for m in receiver.messages if subject_of(m) == subject_of(message)]
        is_second = len(dict.fromkeys(position)) == 2
        if subject_of(message) in failing and is_second and failures[subject_of(message)] < 2:
            failures[subject_of(message)] += 1
            return Answer(500, body=b"not now")
        return Answer()

    def tried() -> list[int]:
        return [found["attempt_count"] for found in deliveries(shop, state="pending")]

    def subject_of(message: Message) -> str:
        subject: str = message.json["data"]["order_id"]
        return subject

    with receiving() as receiver, webhooks(database, clock=clock):
        receiver.answer = answer
        make_endpoint(shop, receiver.url())
        for _ in range(4):
            announce(database, shop, *subjects)
        wait_until(lambda: len(receiver.messages) == 10)
        assert len(deliveries(shop, state="pending")) == 15
        # a subject that has nothing that failed goes on beside them
        announce(database, shop, UUID(int=99), UUID(int=99))
        wait_until(lambda: len(receiver.messages) == 12)
        for number, delay in enumerate(DELAYS_SECONDS[:2], 1):
            wait_until(lambda n=number: tried().count(n) == 5)  # type: ignore[misc]
            clock.ahead += timedelta(seconds=delay)
        wait_until(lambda: len(deliveries(shop, state="delivered")) == 22)
        for subject in subjects:
            got = [m for m in receiver.messages if m.json["data"]["order_id"] == str(subject)]
            ids = [m.json["id"] for m in got]
            assert ids == sorted(ids)
            assert [ids.count(number) for number in dict.fromkeys(ids)] == [1, 3, 1, 1]
            # tried again it is the same message
            assert len({(m.id, m.body) for m in got}) == 4


def test_a_delivery_is_tried_by_the_schedule_then_given_up_and_its_endpoint_paused(
    shop: Shop, database: Database
) -> None:
    clock = Clock()
    with receiving() as receiver, webhooks(database, clock=clock):
        receiver.answer = lambda _: Answer(500, {"X-Why": "broken"}, b"x" * 5000)
        # it is told of its own pause, too, unless it asks for other events
        endpoint = make_endpoint(shop, receiver.url(), event_types=["order_created"])
        announce(database, shop, UUID(int=1))
        for number, delay in enumerate(DELAYS_SECONDS[:3], 1):
            wait_until(lambda n=number: attempts(shop) == [n])  # type: ignore[misc]
            (delivery,) = deliveries(shop)
            told = shop.api.get(f"{DELIVERIES}/{delivery['id']}").json
            attempt = told["attempts"][-1]
            assert (attempt["status"], attempt["outcome"]) == (500, "refused")
            assert attempt["response_body"] == "x" * 1024
            assert ["X-Why", "broken"] in attempt["response_headers"]
            waits = _seconds(attempt["started_at"], delivery["next_attempt_at"])
            # a tenth less by chance, which is 0.5 here
            assert delay * 0.9 <= waits <= delay * 0.9 + 2
            clock.ahead += timedelta(seconds=delay)
        wait_until(lambda: len(receiver.messages) == 4)
        wait_until(lambda: attempts(shop) == [4])
        assert get_endpoint(shop, endpoint)["status"] == "active"
        # before its last attempt, of which the ten before took most of a day
        execute(database, "UPDATE webhook_deliveries SET tried_count = 10")
        clock.ahead += timedelta(hours=2)
        wait_until(lambda: deliveries(shop)[0]["state"] == "failed")
        paused = get_endpoint(shop, endpoint)
        assert (paused["status"], paused["pause_reason"]) == ("paused", "failing")
        (told,) = shop.api.get(NOTIFICATIONS, query={"kind": "paused_webhook"}).json["data"]
        assert told["data"] == {"endpoint_id": endpoint["id"], "reason": "failing"}
        assert told["resolved_at"] is None
        # paused, it is sent nothing, and what happens waits
        announce(database, shop, UUID(int=2))
        wait_until(lambda: len(deliveries(shop, state="pending")) == 1)
        refused = shop.api.post(f"{DELIVERIES}/{deliveries(shop)[0]['id']}/redeliver")
        assert (refused.status, refused.code) == (409, "endpoint_paused")
        receiver.answer = lambda _: Answer()
        count = len(receiver.messages)
        answered = shop.api.patch(f"{ENDPOINTS}/{endpoint['id']}", {"status": "active"})
        assert answered.json["pause_reason"] is None
        wait_until(lambda: len(receiver.messages) > count)
        assert receiver.messages[-1].json["data"]["order_id"] == str(UUID(int=2))
        (told,) = shop.api.get(NOTIFICATIONS, query={"kind": "paused_webhook"}).json["data"]
        assert told["resolved_at"] is not None
        # what was given up is sent again under the same id when somebody asks
        lost = deliveries(shop, state="failed")[0]
        assert shop.api.post(f"{DELIVERIES}/{lost['id']}/redeliver").json["state"] == "pending"
        wait_until(lambda: not deliveries(shop, state="failed"))
        wait_until(lambda: receiver.messages[-1].id == lost["message_id"])


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def test_410_pauses_at_once_and_retry_after_holds_for_the_whole_endpoint(
    shop: Shop, database: Database
) -> None:
    clock = Clock()
    with receiving() as receiver, receiving() as gone, webhooks(database, clock=clock):
        gone.answer = lambda _: Answer(410)
        left = make_endpoint(shop, gone.url(), event_types=["order_created"])
        busy = make_endpoint(shop, receiver.url(), event_types=["order_created"])
        receiver.answer = lambda _: Answer(429, {"Retry-After": "600"})
        announce(database, shop, UUID(int=1))
        wait_until(lambda: get_endpoint(shop, left)["pause_reason"] == "gone")
        wait_until(lambda: attempts(shop, endpoint_id=busy["id"]) == [1])
        # another subject's, due at once, if it were not for the endpoint
        announce(database, shop, UUID(int=2))
        wait_until(lambda: attempts(shop, endpoint_id=busy["id"]) == [1, 0])
        clock.ahead += timedelta(seconds=590)
        receiver.answer = lambda _: Answer()
        assert not _grows(receiver, 1.5)
        clock.ahead += timedelta(seconds=20)
        wait_until(lambda: len(deliveries(shop, endpoint_id=busy["id"], state="delivered")) == 2)
        assert len(gone.messages) == 1
        assert get_endpoint(shop, busy)["status"] == "active"


def _grows(receiver: Receiver, seconds: float) -> bool:
    """Whether more comes within so long."""
    count = len(receiver.messages)
    return threading.Event().wait(seconds) or len(receiver.messages) > count


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
    with receiving() as receiver, webhooks(database):
        shop.api.post("/api/v1/orders", body)
        make_endpoint(shop, receiver.url("/all"))
        make_endpoint(shop, receiver.url("/stock"), event_types=["inventory_updated"])
        make_endpoint(weak, receiver.url("/weak"))
        make_endpoint(other_shop, receiver.url("/other"))
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
