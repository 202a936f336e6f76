"""Event streams (SSE) say what WebSockets say: the same events, rules and resumption."""

import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shop_api.kernel.principal import SCOPES
from shop_api.kernel.rate_limits import PLAN_LIMITS
from tests.factories.rows import make_tenant
from tests.fixtures.event_stream import EventStream
from tests.fixtures.processes import answers, wait_until
from tests.fixtures.realtime import Realtime, Socket, announce, realtime_process, relaying
from tests.fixtures.stores import Database

ALL = frozenset(SCOPES)
ORDER, OTHER_ORDER, PRODUCT, OTHER_PRODUCT = (str(UUID(int=number)) for number in range(1, 5))
LARGE = "x" * 4_000_000


@pytest.fixture(scope="module")
def realtime(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Realtime]:
    folder = tmp_path_factory.mktemp("realtime")
    settings = database.settings(folder, redis_url)
    changes: dict[str, Any] = {
        "sse_comment_seconds": 0.5,
        "sse_queue_length": 8,
        "slow_client_seconds": 3,
    }
    with (
        relaying(database.exporter_url, redis_url),
        realtime_process(settings, folder / "log", **changes) as process,
    ):
        yield process


def ids(messages: list[dict[str, Any]]) -> list[Any]:
    return [message["id"] for message in messages]


def test_both_transports_send_the_same(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    socket = realtime.connect(tenant_id)
    by_ticket = EventStream(realtime.port, ticket=realtime.ticket(tenant_id))
    no_customers = EventStream(
        realtime.port, bearer=realtime.bearer(tenant_id, ALL - {"customers:read", "jobs:read"})
    )
    for stream in (by_ticket, no_customers):
        assert stream.status == 200
        assert stream.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["Cache-Control"] == "no-store, no-transform"
        assert stream.headers["X-Request-ID"]
        greeting = stream.receive()
        assert greeting is not None
        assert (greeting["type"], greeting["id"]) == ("connected", 1)
        assert greeting["data"]["tenant_id"] == str(tenant_id)
        assert stream.retry_milliseconds is not None
        assert 1000 <= stream.retry_milliseconds <= 3000
    announce(
        database,
        tenant_id,
        ("order_created", {"customer_email": "a@example.org", "total_amount": 19.9}),
        ("orders_imported", {"ids": []}),
        ("import_finished", {}),
        ("product_updated", {"product_id": PRODUCT}),
    )
    over_socket = socket.receive_many(3)
    assert ids(over_socket) == [2, 4, 5]
    assert by_ticket.receive_many(3) == over_socket
    withheld = no_customers.receive_many(2)
    assert ids(withheld) == [2, 5]
    assert withheld[0]["data"] == {"total_amount": 19.9}
    for open_one in (socket, by_ticket, no_customers):
        open_one.close()


def test_who_may_not_listen_is_told_so(realtime: Realtime, tenant_id: UUID) -> None:
    used, key = realtime.ticket(tenant_id), realtime.bearer(tenant_id)
    EventStream(realtime.port, ticket=used).close()
    silent = realtime.bearer(tenant_id, ALL - {"events:read"})
    refusals: list[tuple[dict[str, Any], int, str]] = [
        ({}, 401, "unauthenticated"),
        ({"ticket": used}, 401, "invalid_ticket"),
        ({"ticket": "tk_unknown"}, 401, "invalid_ticket"),
        ({"bearer": "sk_unknown"}, 401, "invalid_credential"),
        ({"bearer": silent}, 403, "insufficient_scope"),
        (
            {"ticket": realtime.ticket(tenant_id, frozenset({"orders:read"}))},
            403,
            "insufficient_scope",
        ),
        (
            {
                "bearer": realtime.bearer(tenant_id, frozenset({"events:read"})),
                "types": "order_created",
            },
            403,
            "insufficient_scope",
        ),
        ({"bearer": key, "method": "POST"}, 405, "method_not_allowed"),
        ({"bearer": key, "types": "order_created,fly"}, 400, "unknown_event_type"),
        ({"bearer": key, "typos": "x"}, 400, "unknown_parameter"),
        ({"bearer": key, "orders": "1"}, 400, "invalid_parameter"),
        ({"bearer": key, "last_event_id": "-1"}, 400, "invalid_parameter"),
        ({"bearer": key, "headers": {"Last-Event-ID": "x"}}, 400, "invalid_parameter"),
        (
            {"bearer": key, "products": ",".join(str(uuid4()) for _ in range(101))},
            400,
            "too_many_products",
        ),
    ]
    hundred = ",".join(str(uuid4()) for _ in range(100))
    most = EventStream(realtime.port, bearer=key, products=hundred, orders=hundred)
    assert most.status == 200
    most.close()
    for options, status, code in refusals:
        refused = EventStream(realtime.port, **options)
        assert (refused.status, refused.problem["code"]) == (status, code), options
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert ("WWW-Authenticate" in refused.headers) == (status == 401)


def test_streams_and_sockets_are_counted_together(realtime: Realtime, tenant_id: UUID) -> None:
    limits = PLAN_LIMITS["free"]._replace(requests=1000, burst=1000)

    def ticket() -> str:
        return realtime.ticket(tenant_id, ALL, limits)

    stream = EventStream(realtime.port, ticket=ticket())
    sockets = [Socket(realtime.port, ticket()) for _ in range(2)]
    assert [socket.receive()["type"] for socket in sockets] == ["connected"] * 2
    kept = ticket()
    refused = EventStream(realtime.port, ticket=kept)
    assert (refused.status, refused.problem["code"]) == (429, "too_many_connections")
    assert refused.headers["Retry-After"] == "1"
    assert Socket(realtime.port, ticket()).close_code() == 4429
    # a client that hangs up is noticed at once, with nothing to send; the ticket is still good
    stream.close()

    def comes_in() -> bool:
        nonlocal stream
        stream = EventStream(realtime.port, ticket=kept)
        return stream.status == 200

    wait_until(comes_in, 3)
    stream.close()
    for socket in sockets:
        socket.close()


def test_products_and_orders_are_chosen_on_both(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    stream = realtime.stream(tenant_id, types="order_created,product_updated", orders=ORDER)
    products = realtime.stream(tenant_id, products=f"{PRODUCT},{uuid4()}")
    socket = realtime.connect(tenant_id)
    socket.send(type="subscribe", orders=[ORDER])
    assert socket.receive()["data"]["orders"] == [ORDER]
    socket.send(type="subscribe", products=[PRODUCT.upper()])
    chosen = socket.receive()["data"]
    assert (chosen["products"], chosen["orders"]) == ([PRODUCT], [ORDER])
    assert "order_created" in chosen["types"]
    events = [
        ("order_created", {"order_id": ORDER}),
        ("order_created", {"order_id": OTHER_ORDER}),
        ("product_updated", {"product_id": OTHER_PRODUCT}),
        ("inventory_updated", {"product_id": PRODUCT}),
        ("system_notification", {}),
    ]
    time.sleep(0.3)
    announce(database, tenant_id, *events)
    assert ids(stream.receive_many(2)) == [2, 4]
    assert ids(products.receive_many(4)) == [2, 3, 5, 6]
    assert ids(socket.receive_many(3)) == [2, 5, 6]
    # the last one chosen is dropped: nothing about an order is wanted; then everything is
    socket.send(type="unsubscribe", orders=[ORDER], types=["inventory_updated"])
    assert socket.receive()["data"]["orders"] == []
    announce(database, tenant_id, *events)
    assert ids(socket.receive_many(1)) == [11]
    socket.send(type="subscribe")
    assert socket.receive()["data"]["products"] is None
    announce(database, tenant_id, *events)
    assert ids(socket.receive_many(5)) == [12, 13, 14, 15, 16]
    ten = [str(uuid4()) for _ in range(10)]
    for _ in range(9):
        socket.send(type="subscribe", orders=[str(uuid4()) for _ in range(10)])
        socket.receive()
    socket.send(type="subscribe", orders=ten)
    assert len(socket.receive()["data"]["orders"]) == 100
    socket.send(type="subscribe", orders=[str(uuid4())])
    assert socket.receive()["data"]["code"] == "too_many_orders"
    for open_one in (stream, products, socket):
        open_one.close()


def test_a_stream_resumes_where_it_was(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    announce(database, tenant_id, *[("order_created", {})] * 700)
    key = realtime.bearer(tenant_id)
    # what the header says is newer than the URL
    for resumed in (
        EventStream(realtime.port, bearer=key, last_event_id=90),
        EventStream(realtime.port, bearer=key, last_event_id=5, headers={"Last-Event-ID": "90"}),
    ):
        announce(database, tenant_id, ("order_created", {}))
        greeting, told = resumed.receive_many(2)
        # who breaks off here asks for the same again
        assert (greeting["type"], greeting["id"], resumed.last_id) == ("connected", 90, "90")
        assert (told["type"], told["data"]) == ("resumed", {"last_event_id": 90})
        assert ids(resumed.receive_many(612)) == list(range(91, 703))
        resumed.close()
    # events nobody wants move the position on, so that a quiet stream need not go back for them
    quiet = realtime.stream(tenant_id, types="report_ready")
    announce(database, tenant_id, *[("order_created", {})] * 7)
    wait_until(lambda: quiet.block() is not None and quiet.last_id == "710", 5)
    assert quiet.comments
    quiet.close()


def test_a_gap_that_is_gone_is_told_on_both(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    announce(database, tenant_id, *[("order_created", {})] * 9)
    database.server.execute(
        "UPDATE events SET recorded_at = recorded_at - interval '2 days'"
        # one that began before and ended after those that follow
        f" WHERE tenant_id = '{tenant_id}' AND (sequence <= 4 OR sequence = 7)",
        database.name,
    )
    for asked, reason, position, following in (
        (2, "expired", 4, [5, 6, 7, 8, 9, 10]),
        (4, None, None, [5, 6, 7, 8, 9, 10]),
        (10, None, None, []),
        (11, "unknown_event", 10, []),
    ):
        stream = realtime.stream(tenant_id, headers={"Last-Event-ID": str(asked)})
        socket = realtime.connect(tenant_id)
        socket.send(type="resume", last_event_id=asked)
        for told in (stream.receive(), socket.receive()):
            assert told is not None
            expected: dict[str, Any] = {"last_event_id": asked}
            if reason is None:
                assert (told["type"], told["id"]) == ("resumed", None)
            else:
                expected["reason"] = reason
                assert (told["type"], told["id"]) == ("reset", position)
            assert told["data"] == expected
        assert stream.last_id == str(asked if position is None else position)
        assert ids(stream.receive_many(len(following))) == following
        assert ids(socket.receive_many(len(following))) == following
        stream.close()
        socket.close()


def test_a_paused_reader_gets_all_of_it_whole_and_a_stuck_one_can_resume(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    paused = realtime.stream(tenant_id, buffer_bytes=4096)
    stuck = realtime.stream(tenant_id, buffer_bytes=4096)
    time.sleep(0.2)
    large = ("system_notification", {"message": LARGE})
    small: tuple[str, dict[str, Any]] = ("system_notification", {})
    announce(database, tenant_id, large, *[small] * 20)
    time.sleep(1)
    first = paused.receive()
    assert first is not None
    assert first["data"]["message"] == LARGE
    assert ids(paused.receive_many(20)) == list(range(3, 23))
    # full for three seconds: cut off once it had ten more to take what is on its way
    time.sleep(13.5)
    assert stuck.receive() is None
    assert stuck.last_id == "1"
    again = realtime.stream(tenant_id, headers={"Last-Event-ID": stuck.last_id})
    assert ids(again.receive_many(22))[1:] == list(range(2, 23))
    announce(database, tenant_id, small)
    assert paused.receive_many(1)[0]["id"] == again.receive_many(1)[0]["id"] == 23
    paused.close()
    again.close()


def counted(realtime: Realtime) -> dict[str, float]:
    """What `/metrics` tells of streams, by name and kind of error."""
    address = f"http://127.0.0.1:{realtime.port}/metrics"
    key = {"Authorization": f"Bearer {realtime.settings.metrics_key}"}
    with urllib.request.urlopen(urllib.request.Request(address, headers=key)) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {
        sample.name + sample.labels.get("error_type", ""): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("sse_")
    }


def test_streams_are_counted(realtime: Realtime, database: Database, tenant_id: UUID) -> None:
    EventStream(realtime.port, ticket="tk_unknown")
    before = counted(realtime)
    stream = realtime.stream(tenant_id)
    EventStream(realtime.port, ticket="tk_unknown")
    announce(database, tenant_id, ("order_created", {}))
    stream.receive()

    def has_grown(by: dict[str, int]) -> bool:
        now = counted(realtime)
        return {name: now[name] - before.get(name, 0) for name in by} == by

    told = {"sse_events_sent_total": 2, "sse_errors_totalinvalid_ticket": 1}
    wait_until(lambda: has_grown({**told, "sse_connections_active": 1}))
    stream.close()
    ended = {"sse_connection_duration_seconds_count": 1, "sse_connections_active": 0}
    wait_until(lambda: has_grown(ended))


def test_pages_of_allowed_origins_may_read_it(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    shop = "https://shop.example"
    allowing = make_tenant(database, cors_origins=[shop])
    ticket = realtime.ticket(allowing)
    for origin in ("https://evil.example", "null", "http://["):
        refused = EventStream(realtime.port, ticket=ticket, headers={"Origin": origin})
        assert (refused.status, refused.problem["code"]) == (403, "origin_not_allowed")
        assert "Access-Control-Allow-Origin" not in refused.headers
    credentials: list[dict[str, Any]] = [{"ticket": ticket}, {"bearer": realtime.bearer(allowing)}]
    for options in credentials:
        stream = EventStream(realtime.port, headers={"Origin": shop}, **options)
        assert stream.status == 200
        assert stream.headers["Access-Control-Allow-Origin"] == shop
        assert "Origin" in stream.headers["Vary"]
        stream.close()
    own = {"Origin": f"http://127.0.0.1:{realtime.port}"}
    stream = EventStream(realtime.port, ticket=realtime.ticket(tenant_id), headers=own)
    assert stream.status == 200
    stream.close()
    asked = {
        "Origin": shop,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,last-event-id",
    }

    def preflight() -> EventStream:
        return EventStream(realtime.port, method="OPTIONS", headers=asked)

    wait_until(lambda: "Access-Control-Allow-Headers" in preflight().headers)
    allowed = preflight().headers["Access-Control-Allow-Headers"].lower()
    assert {"authorization", "last-event-id"} <= set(allowed.split(", "))


def test_sigterm_ends_streams_and_the_process_in_time(
    database: Database, redis_url: str, tenant_id: UUID, tmp_path: Path
) -> None:
    settings = database.settings(tmp_path, redis_url)
    with realtime_process(settings, tmp_path / "log", shutdown_grace_seconds=5) as process:
        streams = [process.stream(tenant_id) for _ in range(10)]
        started = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        assert [stream.receive() for stream in streams] == [None] * 10
        for stream in streams:
            stream.close()
        while answers(f"http://127.0.0.1:{process.port}/health/live"):
            time.sleep(0.05)
        os.waitpid(process.pid, 0)
        assert time.monotonic() - started < 5
