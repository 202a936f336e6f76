"""Nothing is lost, doubled or cut: slow readers and large messages."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
import websocket

from tests.fixtures.realtime import Realtime, announce, realtime_process, relaying
from tests.fixtures.stores import Database

# more than the buffers of a local socket take
LARGE = "x" * 4_000_000


@pytest.fixture(scope="module")
def realtime(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Realtime]:
    folder = tmp_path_factory.mktemp("realtime")
    settings = database.settings(folder, redis_url)
    with (
        relaying(database.exporter_url, redis_url),
        # a busy machine may keep a reader from reading for a second
        realtime_process(
            settings, folder / "log", websocket_queue_length=8, slow_client_seconds=3
        ) as process,
    ):
        yield process


def ids(messages: list[dict[str, object]]) -> list[object]:
    return [message["id"] for message in messages]


def test_a_paused_reader_gets_every_frame_whole(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    socket = realtime.connect(tenant_id)
    time.sleep(0.4)
    announce(database, tenant_id, *[("system_notification", {"message": LARGE})] * 4)
    time.sleep(0.6)
    for expected in (2, 3, 4, 5):
        message = socket.receive()
        assert message["id"] == expected
        assert message["data"]["message"] == LARGE
    socket.close()


def test_small_messages_to_a_slow_reader_stay_whole_and_in_order(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    """Beyond the queue the connection reads on from Postgres, as long as it moves."""
    socket = realtime.connect(tenant_id)
    time.sleep(0.4)
    events = [("system_notification", {"message": "x" * 2000})] * 500

    def write() -> None:
        for _ in range(10):
            announce(database, tenant_id, *events)

    with ThreadPoolExecutor(1) as writer:
        writer.submit(write)
        received = []
        for index in range(5000):
            received.append(socket.receive()["id"])
            if index % 800 == 0:
                time.sleep(0.4)
    assert received == list(range(2, 5002))
    socket.close()


def test_a_client_that_takes_nothing_is_closed_with_1013_and_others_are_not(
    realtime: Realtime, database: Database, tenant_id: UUID
) -> None:
    stuck = realtime.connect(tenant_id)
    reading = realtime.connect(tenant_id)
    time.sleep(0.4)
    for _ in range(12):
        announce(database, tenant_id, ("system_notification", {"message": LARGE}))
        reading.receive()
    time.sleep(5)
    last = stuck.receive()
    assert last["data"]["message"] == LARGE
    received = 1
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        for _ in range(12):
            opcode, data = stuck.client.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                assert int.from_bytes(data[:2], "big") == 1013
                raise websocket.WebSocketConnectionClosedException
            received += 1
    assert received < 12
    again = realtime.connect(tenant_id)
    again.send(type="resume", last_event_id=1 + received)
    assert again.receive()["type"] == "resumed"
    assert again.receive()["id"] == 2 + received
    announce(database, tenant_id, ("system_notification", {}))
    assert reading.receive()["id"] == 14
    for socket in (reading, again):
        socket.close()
