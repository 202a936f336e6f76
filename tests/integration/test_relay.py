"""The relay publishes every committed event once per relay, in order per tenant, come what may."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import redis

from shop_api.db.migrate import migrate
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.clock import utc_now
from shop_api.spine.locks import lock_key
from shop_api.spine.relay import LOCK
from shop_api.spine.resources import CATALOGUE, CUSTOMERS
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.spine.versions import ResourceVersions
from shop_api.spine.waker import Waker
from shop_api.stack.postgres import start_postgres
from shop_api.stack.redis import start_redis
from tests.factories.rows import make_tenant
from tests.fixtures.processes import wait_until
from tests.fixtures.realtime import announce, relaying
from tests.fixtures.stores import Database, store_folder


def append(database: Database, tenant_id: UUID, count: int = 1) -> None:
    announce(database, tenant_id, *[("thing_done", {})] * count)


class Listener:
    """Collects what is published, by tenant."""

    def __init__(self, url: str) -> None:
        self.sequences: dict[UUID, list[int]] = defaultdict(list)
        self.messages: list[str] = []
        self._client = redis.Redis.from_url(url)
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        self._pubsub.psubscribe("events:*")
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            message = self._pubsub.get_message(timeout=0.1)
            if message:
                self.messages.append(message["data"].decode())
                body = json.loads(message["data"])
                self.sequences[UUID(body["tenant_id"])].append(body["id"])

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._client.close()


@pytest.fixture
def listener(redis_client: redis.Redis, redis_url: str) -> Iterator[Listener]:
    found = Listener(redis_url)
    yield found
    found.stop()


def test_events_of_concurrent_writers_come_once_and_in_order_beside_a_long_transaction(
    database: Database, redis_url: str, listener: Listener
) -> None:
    tenants = [make_tenant(database) for _ in range(3)]
    late = make_tenant(database)
    with relaying(database.exporter_url, redis_url) as relay:
        wait_until(lambda: relay.is_leading)
        with psycopg.connect(database.application_url) as long_writer:
            long_writer.execute("SELECT set_config('app.tenant_id', %s, true)", (str(late),))
            long_writer.execute("SELECT pg_current_xact_id()")

            def write(index: int) -> None:
                append(database, tenants[index % 3], 1 + index % 4)

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(write, range(400)))
            expected = {
                tenant: 1 + sum(1 + i % 4 for i in range(400) if i % 3 == number)
                for number, tenant in enumerate(tenants)
            }
            wait_until(lambda: all(len(listener.sequences[t]) >= n for t, n in expected.items()))
            long_writer.execute(
                "INSERT INTO events (tenant_id, sequence, type, subject_type, data, actor,"
                " request_id) VALUES (%s, 2, 'late', 'thing', '{}', 'system:test', 'test')",
                (late,),
            )
            append(database, tenants[0])
            wait_until(lambda: len(listener.sequences[tenants[0]]) > expected[tenants[0]])
            long_writer.commit()
        database.waker.wake()
        wait_until(lambda: len(listener.sequences[late]) == 2)
        expected[tenants[0]] += 1
        time.sleep(0.3)
    for tenant, count in expected.items():
        assert listener.sequences[tenant] == list(range(1, count + 1))
    assert listener.sequences[late] == [1, 2]


def test_amounts_are_published_as_they_were_written(
    database: Database, redis_url: str, listener: Listener, tenant_id: UUID
) -> None:
    from decimal import Decimal

    origin = Origin(tenant_id, "system:test", "test", utc_now())
    with relaying(database.exporter_url, redis_url):
        with unit_of_work(database.engine, database.waker, origin) as work:
            work.append("order_created", "order", None, {"total_amount": Decimal("19.90")})
        wait_until(lambda: listener.sequences[tenant_id] == [1, 2])
    assert '"total_amount": 19.90' in listener.messages[-1]


def test_what_a_killed_writer_could_not_tell_the_relay_tells(
    database: Database, redis_url: str, tenant_id: UUID
) -> None:
    """The versions of what an event touches are others before the event is published."""
    versions = ResourceVersions(RequestRedis(redis_url))
    silent = Waker(database.application_url, ResourceVersions(RequestRedis("redis://127.0.0.1:1")))
    origin = Origin(tenant_id, "system:test", "test", utc_now())
    with relaying(database.exporter_url, redis_url):
        # what the relay reads of before has been told
        time.sleep(0.5)
        before = [versions.find(tenant_id, [name]) for name in (CATALOGUE, CUSTOMERS)]
        assert None not in before
        with unit_of_work(database.engine, silent, origin) as work:
            work.append("category_updated", "category", None, {})
        wait_until(lambda: versions.find(tenant_id, [CATALOGUE]) != before[0])
        assert versions.find(tenant_id, [CUSTOMERS]) == before[1]
    silent.stop()


def test_a_new_relay_reads_on_from_the_cursor(
    database: Database, redis_url: str, listener: Listener, tenant_id: UUID
) -> None:
    with relaying(database.exporter_url, redis_url):
        append(database, tenant_id)
        wait_until(lambda: listener.sequences[tenant_id] == [1, 2])
    append(database, tenant_id, 1500)
    with relaying(database.exporter_url, redis_url):
        wait_until(lambda: len(listener.sequences[tenant_id]) >= 1502)
        time.sleep(0.2)
    assert listener.sequences[tenant_id] == list(range(1, 1503))


def test_a_cursor_of_another_server_is_not_trusted(
    database: Database, redis_url: str, listener: Listener, tenant_id: UUID
) -> None:
    with relaying(database.exporter_url, redis_url):
        append(database, tenant_id)
        wait_until(lambda: 2 in listener.sequences[tenant_id])
    with psycopg.connect(database.exporter_url) as connection:
        connection.execute(
            "UPDATE spine_cursors SET system_identifier = 1, xid = '9000000000'::xid8"
        )
    append(database, tenant_id)
    with relaying(database.exporter_url, redis_url):
        wait_until(lambda: 3 in listener.sequences[tenant_id])


def test_only_one_relay_leads_and_another_takes_over_when_its_connection_dies(
    database: Database, redis_url: str, listener: Listener, tenant_id: UUID
) -> None:
    with (
        relaying(database.exporter_url, redis_url) as first,
        relaying(database.exporter_url, redis_url) as second,
    ):
        wait_until(lambda: first.is_leading or second.is_leading)
        time.sleep(1.5)
        assert first.is_leading != second.is_leading
        leader = first if first.is_leading else second
        key = lock_key(LOCK)
        database.server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            f" AND ((classid::bigint << 32) | objid::bigint) = {key}",
            database.name,
        )
        append(database, tenant_id, 5)
        wait_until(lambda: listener.sequences[tenant_id][-1:] == [6], seconds=5)
        assert first.is_leading != second.is_leading, leader


@pytest.fixture
def folder() -> Iterator[Path]:
    with store_folder() as found:
        yield found


def test_the_relay_survives_restarts_of_redis_and_postgres(folder: Path) -> None:
    """On servers of its own, so that nobody else's break."""
    postgres = start_postgres(folder)
    store = start_redis(folder)
    migrate(postgres.migrator_url.replace("postgresql://", "postgresql+psycopg://"))
    listener = Listener(store.url)
    tenant = UUID(int=7)

    def write(sequence: int) -> None:
        with psycopg.connect(postgres.application_url) as connection:
            connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant),))
            connection.execute(
                "INSERT INTO events (tenant_id, sequence, type, subject_type, data, actor,"
                " request_id) VALUES (%s, %s, 'done', 'thing', '{}', 'system:test', 'test')",
                (tenant, sequence),
            )
            connection.execute("NOTIFY spine")

    try:
        with relaying(postgres.exporter_url, store.url):
            write(1)
            wait_until(lambda: listener.sequences[tenant] == [1])
            listener.stop()
            store.stop()
            write(2)
            time.sleep(0.5)
            store = start_redis(folder)
            listener = Listener(store.url)
            wait_until(lambda: 2 in listener.sequences[tenant])
            postgres.stop()
            time.sleep(0.3)
            postgres = start_postgres(folder)
            write(3)
            wait_until(lambda: 3 in listener.sequences[tenant])
            assert listener.sequences[tenant] == sorted(listener.sequences[tenant])
    finally:
        listener.stop()
        store.stop()
        postgres.stop()
