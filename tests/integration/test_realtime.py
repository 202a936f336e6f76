"""Sockets get their tenant's events: in order, once, within their scopes, and are ended clearly."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
import redis
import websocket

from shop_api.kernel.principal import SCOPES
from shop_api.spine.passing import listening_tenants
from tests.factories.rows import make_tenant
from tests.fixtures.processes import answers, wait_until
from tests.fixtures.realtime import Realtime, Socket, announce, realtime_process, relaying
from tests.fixtures.stores import Database

ALL = frozenset(SCOPES)


@pytest.fixture(scope="module")
def realtime(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Realtime]:
    folder = tmp_path_factory.mktemp("realtime")
    settings = database.settings(folder, redis_url)
    with (
        relaying(database.exporter_url, redis_url),
        realtime_process(
            settings, folder / "log", websocket_ping_seconds=1.0, websocket_idle_seconds=2.0
        ) as process,
    ):
        yield process


def ids(messages: list[dict[str, object]]) -> list[object]:
    return [message["id"] for message in messages]


def test_an_event_reaches_the_socket_in_the_envelope(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    socket = realtime.connect(tenant_id)
    assert socket.greeting["data"]["tenant_id"] == str(tenant_id)
    assert UUID(socket.greeting["data"]["connection_id"])
    assert socket.greeting["id"] == 1
    announce(database, tenant_id, ("order_created", {"order_id": "x", "total_amount": 5}))
    message = socket.receive()
    assert set(message) == {"id", "type", "data", "timestamp"}
    assert message["id"] == 2
    assert message["type"] == "order_created"
    assert message["data"] == {"order_id": "x", "total_amount": 5}
    assert message["timestamp"].endswith("Z")
    socket.close()


def test_an_event_arrives_well_within_a_second(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    socket = realtime.connect(tenant_id)
    time.sleep(0.5)
    delays = []
    for _ in range(20):
        started = time.monotonic()
        announce(database, tenant_id, ("order_created", {}))
        socket.receive()
        delays.append(time.monotonic() - started)
    assert sorted(delays)[-2] < 0.25, delays
    socket.close()


def test_a_ticket_opens_one_connection(realtime: Realtime, tenant_id: UUID) -> None:
    ticket = realtime.ticket(tenant_id)
    first = Socket(realtime.port, ticket)
    assert first.receive()["type"] == "connected"
    assert Socket(realtime.port, ticket).close_code() == 4401
    assert Socket(realtime.port, "tk_unknown").close_code() == 4401
    first.send(type="ping")
    assert first.receive()["type"] == "pong"
    first.close()


def test_without_the_scope_to_listen_the_socket_is_closed(
    realtime: Realtime, tenant_id: UUID
) -> None:
    ticket = realtime.ticket(tenant_id, frozenset({"orders:read"}))
    assert Socket(realtime.port, ticket).close_code() == 4403


def test_a_tenant_hears_only_itself_and_is_followed_as_long_as_somebody_listens(
    realtime: Realtime, database: Database, redis_client: redis.Redis, tenant_id: UUID
) -> None:
    other, silent = make_tenant(database), make_tenant(database)

    def followed() -> set[UUID]:
        return listening_tenants(redis_client) & {tenant_id, other, silent}

    assert followed() == set()
    socket, other_socket = realtime.connect(tenant_id), realtime.connect(other)
    wait_until(lambda: followed() == {tenant_id, other}, 5)
    announce(database, other, ("order_created", {"whose": "other"}))
    announce(database, tenant_id, ("order_created", {"whose": "own"}))
    assert socket.receive()["data"] == {"whose": "own"}
    assert other_socket.receive()["data"] == {"whose": "other"}
    other_socket.close()
    wait_until(lambda: followed() == {tenant_id}, 5)
    socket.close()
    wait_until(lambda: followed() == set(), 5)


def test_scopes_decide_types_and_the_customers_email(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    full = realtime.connect(tenant_id)
    no_customers = realtime.connect(tenant_id, ALL - {"customers:read"})
    no_orders = realtime.connect(tenant_id, ALL - {"orders:read"})
    announce(
        database,
        tenant_id,
        ("order_created", {"customer_email": "a@example.org", "order_id": "1"}),
        ("orders_imported", {"ids": ["1"]}),
        ("product_updated", {"product_id": "2"}),
    )
    assert full.receive()["data"] == {"customer_email": "a@example.org", "order_id": "1"}
    assert no_customers.receive()["data"] == {"order_id": "1"}
    last = [full.receive(), no_customers.receive(), no_orders.receive()]
    assert {(message["id"], message["type"]) for message in last} == {(4, "product_updated")}
    no_orders.send(type="subscribe", types=["order_created"])
    assert no_orders.receive()["data"]["code"] == "insufficient_scope"
    for socket in (full, no_customers, no_orders):
        socket.close()


def test_the_email_is_withheld_from_a_replay_too(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    announce(database, tenant_id, ("order_created", {"customer_email": "a@example.org"}))
    socket = realtime.connect(tenant_id, ALL - {"customers:read"})
    socket.send(type="resume", last_event_id=1)
    assert socket.receive()["type"] == "resumed"
    assert socket.receive()["data"] == {}
    socket.close()


def test_subscriptions_choose_types(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    socket = realtime.connect(tenant_id)
    socket.send(type="unsubscribe")
    assert socket.receive()["data"] == {"types": [], "products": None, "orders": None}
    socket.send(type="subscribe", types=["product_updated"])
    assert socket.receive()["data"]["types"] == ["product_updated"]
    announce(database, tenant_id, ("order_created", {}), ("product_updated", {}))
    assert socket.receive()["id"] == 3
    socket.send(type="subscribe", types=["nonsense"])
    assert socket.receive()["data"]["code"] == "unknown_event_type"
    socket.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"type":"fly"}',
        '{"type":"ping","extra":1}',
        '{"type":"resume","last_event_id":"1"}',
        '{"type":"resume","last_event_id":-1}',
    ],
)
def test_a_wrong_message_gets_an_error_and_the_socket_stays(
    realtime: Realtime, tenant_id: UUID, text: str
) -> None:
    socket = realtime.connect(tenant_id)
    socket.client.send(text)
    answer = socket.receive()
    assert answer["type"] == "error"
    assert answer["data"]["code"] == "malformed_message"
    socket.send(type="ping")
    assert socket.receive()["type"] == "pong"
    socket.close()


@pytest.mark.parametrize("text", ["x" * 513, "é" * 300, "x" * 4 * 1024**2])
def test_an_oversize_message_closes_with_1009(
    realtime: Realtime, tenant_id: UUID, text: str
) -> None:
    socket = realtime.connect(tenant_id)
    try:
        socket.client.send(text)
    except OSError:
        assert len(text) > 100_000
    assert socket.close_code() == 1009


def test_binary_and_broken_text_do_not_harm_others(realtime: Realtime, tenant_id: UUID) -> None:
    socket = realtime.connect(tenant_id)
    socket.client.send_binary(b"\x00\x01")
    assert socket.receive()["data"]["code"] == "malformed_message"
    broken = realtime.connect(tenant_id, skip_utf8_validation=True)
    broken.client.send(b"\xff\xfe", websocket.ABNF.OPCODE_TEXT)
    assert broken.close_code() == 1007
    socket.send(type="ping")
    assert socket.receive()["type"] == "pong"
    socket.close()


def test_resume_replays_what_was_missed_then_goes_on_live(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    for _ in range(3):
        announce(database, tenant_id, *[("order_created", {})] * 400)
    socket = realtime.connect(tenant_id)
    assert socket.greeting["id"] == 1201
    socket.send(type="resume", last_event_id=100)
    for _ in range(50):
        announce(database, tenant_id, ("order_created", {}))
    resumed = socket.receive()
    assert resumed["type"] == "resumed"
    assert resumed["data"] == {"last_event_id": 100}
    assert ids(socket.receive_many(1151)) == list(range(101, 1252))
    announce(database, tenant_id, ("order_created", {}))
    assert socket.receive()["id"] == 1252
    socket.close()


def test_a_late_resume_does_not_repeat_what_was_sent(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    announce(database, tenant_id, *[("order_created", {})] * 9)
    socket = realtime.connect(tenant_id)
    time.sleep(0.5)
    announce(database, tenant_id, *[("order_created", {})] * 5)
    assert ids(socket.receive_many(5)) == [11, 12, 13, 14, 15]
    socket.send(type="resume", last_event_id=5)
    assert socket.receive()["type"] == "resumed"
    assert ids(socket.receive_many(5)) == [6, 7, 8, 9, 10]
    announce(database, tenant_id, ("order_created", {}))
    assert socket.receive()["id"] == 16
    socket.send(type="resume", last_event_id=99)
    reset = socket.receive()
    assert (reset["type"], reset["id"]) == ("reset", 16)
    assert reset["data"] == {"last_event_id": 99, "reason": "unknown_event"}
    socket.close()


def test_a_dead_client_is_closed_and_a_living_one_is_not(
    realtime: Realtime, tenant_id: UUID
) -> None:
    living = realtime.connect(tenant_id)
    dead = realtime.connect(tenant_id)
    deadline = time.monotonic() + 3
    living.client.settimeout(0.2)
    while time.monotonic() < deadline:
        try:
            living.client.recv()
        except websocket.WebSocketTimeoutException:
            continue
    # the library answers pings only while it reads: `dead` has not answered one
    assert dead.close_code() == 4408
    living.client.settimeout(5)
    living.send(type="ping")
    assert living.receive()["type"] == "pong"
    living.close()


def test_the_origin_must_be_allowed(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
        Socket(realtime.port, realtime.ticket(tenant_id), origin="https://evil.example")
    assert refusal.value.status_code == 403
    allowing = make_tenant(database, cors_origins=["https://shop.example"])
    Socket(realtime.port, realtime.ticket(allowing), origin="https://shop.example").close()


def test_a_broken_origin_is_refused_and_leaves_the_ticket(
    realtime: Realtime, tenant_id: UUID
) -> None:
    ticket = realtime.ticket(tenant_id)
    for origin in ("http://[", f"//127.0.0.1:{realtime.port}", "null", "https://evil.example"):
        with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
            Socket(realtime.port, ticket, origin=origin)
        assert refusal.value.status_code == 403, origin
    Socket(realtime.port, ticket, origin=f"http://127.0.0.1:{realtime.port}").close()


def test_a_plain_request_is_told_to_speak_websocket(realtime: Realtime) -> None:
    base = f"http://127.0.0.1:{realtime.port}"
    assert answers(f"{base}/ws", 400)
    assert answers(f"{base}/nothing", 404)
    assert answers(f"{base}/health/live")


def test_compression_is_not_negotiated(realtime: Realtime, tenant_id: UUID) -> None:
    socket = realtime.connect(tenant_id, header=["Sec-WebSocket-Extensions: permessage-deflate"])
    assert "sec-websocket-extensions" not in socket.client.headers
    socket.close()


def test_sigterm_closes_sockets_with_1012_which_go_on_elsewhere_and_ends_in_time(
    database: Database, redis_url: str, tenant_id: UUID, tmp_path: Path
) -> None:
    """Each has heard all up to its close, and resumes at another process after that."""
    settings = database.settings(tmp_path, redis_url)

    def hear_on(socket: Socket, heard: list[object]) -> int:
        """Until it is closed; the code."""
        while True:
            opcode, data = socket.client.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big")
            heard.append(json.loads(data)["id"])

    with (
        relaying(database.exporter_url, redis_url),
        realtime_process(settings, tmp_path / "other") as other,
        realtime_process(settings, tmp_path / "log", shutdown_grace_seconds=8) as process,
    ):
        sockets = [process.connect(tenant_id) for _ in range(20)]
        announce(database, tenant_id, ("order_created", {}))
        assert {socket.receive()["id"] for socket in sockets} == {2}
        started = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        for expected in range(3, 43):
            announce(database, tenant_id, ("order_created", {}))
            if expected % 2:
                socket = sockets.pop()
                heard: list[object] = [2]
                assert hear_on(socket, heard) == 1012
                socket.client.shutdown()
                again = other.connect(tenant_id)
                again.send(type="resume", last_event_id=heard[-1])
                assert again.receive()["type"] == "resumed"
                heard += ids(again.receive_many(expected - 1 - len(heard)))
                assert heard == list(range(2, expected + 1))
                again.close()
        while answers(f"http://127.0.0.1:{process.port}/health/live"):
            time.sleep(0.05)
        os.waitpid(process.pid, 0)
        assert time.monotonic() - started < 8
