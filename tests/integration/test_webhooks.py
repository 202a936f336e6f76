"""Events reach who asked for them, signed, once each, in order per subject, come what may."""

import threading
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from standardwebhooks import Webhook

from shop_api.webhooks.schedule import DELAYS_SECONDS
from tests.fixtures.api import Shop
from tests.fixtures.processes import wait_until
from tests.fixtures.stores import Database
from tests.fixtures.webhooks import (
    DELIVERIES,
    ENDPOINTS,
    LOOPBACK,
    Answer,
    Clock,
    Message,
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
NOTIFICATIONS = "/api/v1/notifications"


def get_endpoint(shop: Shop, endpoint: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = shop.api.get(f"{ENDPOINTS}/{endpoint['id']}").json
    return found


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


def test_two_stand_by_for_each_other_and_go_on_when_they_lose_their_connections(
    shop: Shop, database: Database
) -> None:
    senders = [make_sender(database), make_sender(database)]
    readers = [make_fan_out(database), make_fan_out(database)]
    with receiving() as receiver, following(*senders, *readers):
        make_endpoint(shop, receiver.url(), event_types=["order_created"])
        announce(database, shop, UUID(int=1))
        wait_until(lambda: len(receiver.messages) == 1)
        for count in (2, 3):
            assert sum(sender.is_leading for sender in senders) == 1
            execute(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name IN ('shop-api webhooks', 'shop-api webhook sender')",
            )
            announce(database, shop, UUID(int=count))
            wait_until(lambda n=count: len(receiver.messages) >= n)  # type: ignore[misc]
        wait_until(lambda: not deliveries(shop, state="pending"))
        assert attempts(shop) == [1, 1, 1]
