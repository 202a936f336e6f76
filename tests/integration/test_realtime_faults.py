"""Redis that restarts, messages that get lost and relays that die cost no listener an event.

Each test has the database's only relay to itself.
"""

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import psycopg
import redis

from shop_api.settings import Settings
from shop_api.spine.relay import channel_of
from shop_api.stack.redis import start_redis
from shop_api.stack.stores import Stores, open_stores
from tests.fixtures.processes import answers, process_environment, running, wait_until
from tests.fixtures.realtime import Realtime, announce, realtime_process, relaying
from tests.fixtures.stores import Database, store_folder


def ids(messages: list[dict[str, object]]) -> list[object]:
    return [message["id"] for message in messages]


def test_events_published_while_redis_was_away_arrive_later_in_order(
    database: Database, tenant_id: UUID, tmp_path: Path
) -> None:
    store = start_redis(tmp_path)
    settings = database.settings(tmp_path, store.url)
    try:
        with (
            relaying(database.exporter_url, store.url),
            realtime_process(settings, tmp_path / "log") as process,
        ):
            socket, stream = process.connect(tenant_id), process.stream(tenant_id)
            announce(database, tenant_id, ("order_created", {}))
            assert socket.receive()["id"] == 2
            assert ids(stream.receive_many(1)) == [2]
            store.stop()
            for _ in range(5):
                announce(database, tenant_id, ("order_created", {}))
            # with a key a client comes in meanwhile, and finds in Postgres what waits there
            late = process.stream(tenant_id, last_event_id=2)
            assert ids(late.receive_many(6)) == [None, 3, 4, 5, 6, 7]
            store = start_redis(tmp_path)
            assert ids(socket.receive_many(5)) == [3, 4, 5, 6, 7]
            assert ids(stream.receive_many(5)) == [3, 4, 5, 6, 7]
            announce(database, tenant_id, ("order_created", {}))
            assert socket.receive()["id"] == 8
            for listener in (stream, late):
                assert ids(listener.receive_many(1)) == [8]
                listener.close()
            socket.close()
    finally:
        store.stop()


def test_a_gap_in_the_sequence_is_filled_from_postgres(
    database: Database, redis_url: str, tenant_id: UUID, tmp_path: Path
) -> None:
    """Without a relay: only the last of four events is published."""
    settings = database.settings(tmp_path, redis_url)
    with realtime_process(settings, tmp_path / "log") as process:
        socket = process.connect(tenant_id)
        time.sleep(0.5)
        announce(
            database,
            tenant_id,
            ("order_created", {"n": 1}),
            ("orders_imported", {"ids": []}),
            ("order_created", {"n": 3}),
            ("order_created", {"n": 4}),
        )
        with redis.Redis.from_url(redis_url) as client:
            message = '{"id":5,"type":"order_created","data":{"n":4},"timestamp":"x"}'
            for _ in range(3):
                client.publish(channel_of(tenant_id), message)
        received = socket.receive_many(3)
        assert ids(received) == [2, 4, 5]
        socket.send(type="ping")
        assert socket.receive()["type"] == "pong"
        socket.close()


def test_a_message_that_cannot_be_read_costs_no_event(
    database: Database, redis_url: str, tenant_id: UUID, tmp_path: Path
) -> None:
    settings = database.settings(tmp_path, redis_url)
    with (
        relaying(database.exporter_url, redis_url),
        realtime_process(settings, tmp_path / "log") as process,
    ):
        socket = process.connect(tenant_id)
        announce(database, tenant_id, ("order_created", {}))
        assert socket.receive()["id"] == 2
        for garbage in (b"not json", b'{"id":"three"}', b"\xff"):
            with redis.Redis.from_url(redis_url) as client:
                client.publish(channel_of(tenant_id), garbage)
            announce(database, tenant_id, ("order_created", {}))
        assert ids(socket.receive_many(3)) == [3, 4, 5]
        wait_until(lambda: answers(f"http://127.0.0.1:{process.port}/health/ready"))
        announce(database, tenant_id, ("order_created", {}))
        assert socket.receive()["id"] == 6
        assert "Traceback" in process.log.read_text()
        socket.close()


def test_a_killed_relay_is_replaced_and_listeners_see_each_event_once(
    database: Database, redis_url: str, tenant_id: UUID, tmp_path: Path
) -> None:
    settings = database.settings(tmp_path, redis_url)
    environment = process_environment(settings)
    worker = ["-m", "shop_api.worker"]
    with (
        realtime_process(settings, tmp_path / "log") as process,
        running(worker, environment, tmp_path / "first") as first,
    ):
        socket = process.connect(tenant_id)

        def next_id() -> int:
            """The worker's figures are events too, of a snapshot, or pass without an id."""
            while (found := socket.receive()["id"]) is None:
                pass
            return int(found)

        announce(database, tenant_id, ("order_created", {}))
        assert next_id() == 2
        with running(worker, environment, tmp_path / "second"):
            wait_until(lambda: "worker started" in (tmp_path / "second").read_text())
            for index in range(200):
                announce(database, tenant_id, *[("order_created", {})] * 5)
                if index == 100:
                    os.kill(first.pid, signal.SIGKILL)
            assert [next_id() for _ in range(1000)] == list(range(3, 1003))
            announce(database, tenant_id, ("order_created", {}))
            assert next_id() == 1003
            socket.close()


def test_listeners_survive_a_restart_of_postgres() -> None:
    """On servers of its own: the stores are stopped while a socket is open."""
    with store_folder() as folder:
        settings = Settings(_env_file=None, data_dir=folder)
        with open_stores(settings) as stores, ExitStack() as running_processes:
            named = stores.settings
            running_processes.enter_context(
                relaying(str(named.exporter_database_url), str(named.redis_url))
            )
            process = running_processes.enter_context(realtime_process(named, folder / "log"))
            tenant_id = UUID(int=7)
            socket = process.connect(tenant_id)
            write_event(str(named.database_url), tenant_id, 1)
            assert socket.receive()["id"] == 1
            os.kill(
                int((folder / "postgres" / "postmaster.pid").read_text().split()[0]),
                signal.SIGKILL,
            )
            wait_until(lambda: answers(f"http://127.0.0.1:{process.port}/health/ready", 503))
            wait_until(lambda: is_revived(stores, process), 40)
            write_event(str(named.database_url), tenant_id, 2)
            assert socket.receive()["id"] == 2
            again = process.connect(tenant_id)
            again.send(type="resume", last_event_id=0)
            assert again.receive()["type"] == "resumed"
            assert ids(again.receive_many(2)) == [1, 2]
            socket.close()
            again.close()


def is_revived(stores: Stores, process: Realtime) -> bool:
    stores.revive()
    return answers(f"http://127.0.0.1:{process.port}/health/ready")


def write_event(url: str, tenant_id: UUID, sequence: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant_id),))
        connection.execute(
            "INSERT INTO tenant_counters VALUES (%s, 'event', %s)"
            " ON CONFLICT (tenant_id, name) DO UPDATE SET value = excluded.value",
            (tenant_id, sequence),
        )
        connection.execute(
            "INSERT INTO events (tenant_id, sequence, type, subject_type, data, actor, request_id)"
            " VALUES (%s, %s, 'order_created', 'order', '{}', 'system:test', 'test')",
            (tenant_id, sequence),
        )
        connection.execute("NOTIFY spine")
