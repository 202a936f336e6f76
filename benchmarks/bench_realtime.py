"""From commit to socket: the relay's rate, the delay to a listener, and many listeners at once."""

import json
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from statistics import quantiles
from typing import Any
from uuid import UUID, uuid4

import psutil
import redis
from sqlalchemy import Engine

from benchmarks.measure import Result
from benchmarks.servers import Stores, free_port
from benchmarks.shop import make_shop
from shop_api.db.engines import make_engine
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.clock import utc_now
from shop_api.kernel.principal import SCOPES, Principal
from shop_api.kernel.rate_limits import PLAN_LIMITS
from shop_api.kernel.tokens import hash_token
from shop_api.models import api_keys
from shop_api.realtime.tickets import issue_ticket
from shop_api.spine.relay import Relay, channel_of
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.spine.versions import ResourceVersions
from shop_api.spine.waker import Waker

EVENTS = 20_000
EVENTS_PER_COMMIT = 100
RELAY_FLOOR_PER_SECOND = 5_000.0
DELAYS = 300
DELAY_P99_MS = 250.0
LISTENERS = 2_000
# of the tenant they all listen to, and more
LIMITS = PLAN_LIMITS["enterprise"]._replace(subscriptions=1_000_000)
# 10 000 listeners in a second
BROADCAST_FLOOR_PER_SECOND = 10_000.0
LISTENER_KIB = 60.0
DATA = {"order_id": "0192d3f0-0000-7000-8000-000000000000", "total_amount": 19.9, "currency": "USD"}


class Shop:
    """A tenant whose events are measured."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.tenant_id: UUID = make_shop(stores, products=1).tenant_id
        self.engine: Engine = make_engine(
            stores.postgres.application_url, stores.settings(), statement_timeout_seconds=60
        )
        self.waker = Waker(
            stores.postgres.application_url, ResourceVersions(RequestRedis(stores.redis_url))
        )
        self.key_id = self._make_key()

    def announce(self, count: int = 1) -> None:
        """Commit some events in one transaction."""
        origin = Origin(self.tenant_id, "system:bench", "bench", utc_now())
        with unit_of_work(self.engine, self.waker, origin) as work:
            for _ in range(count):
                work.append("order_created", "order", None, DATA)

    def _make_key(self) -> UUID:
        now, key_id = utc_now(), uuid4()
        origin = Origin(self.tenant_id, "system:bench", "bench", now)
        with unit_of_work(self.engine, self.waker, origin) as work:
            work.session.execute(
                api_keys.insert().values(
                    tenant_id=self.tenant_id,
                    id=key_id,
                    name="listener",
                    kind="secret",
                    prefix="sk_",
                    key_hash=hash_token(str(key_id)),
                    scopes=sorted(SCOPES),
                    created_at=now,
                    updated_at=now,
                )
            )
        return key_id

    def ticket(self, client: redis.Redis) -> str:
        """A ticket with every scope."""
        actor = f"api_key:{self.key_id}"
        holder = Principal(self.tenant_id, actor, frozenset(SCOPES), LIMITS)
        return issue_ticket(client, holder, 600)


def measure_realtime(stores: Stores) -> list[Result]:
    """Relay rate, commit → WebSocket, broadcast and memory of many listeners."""
    shop = Shop(stores)
    results = [_measure_relay(shop)]
    with _relaying(stores), _realtime(stores) as (port, process):
        results.append(_measure_delay(shop, port))
        results += _measure_broadcast(shop, port, process)
    shop.waker.stop()
    shop.engine.dispose()
    return results


@contextmanager
def _relaying(stores: Stores) -> Iterator[None]:
    client = redis.Redis.from_url(stores.redis_url)
    relay = Relay(stores.postgres.exporter_url, client, retention_seconds=86_400, clock=utc_now)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        yield
    finally:
        relay.stop()
        thread.join()
        client.close()


@contextmanager
def _realtime(stores: Stores) -> Iterator[tuple[int, psutil.Process]]:
    port = free_port()
    environment = stores.environment() | {
        "SHOP_REALTIME_PORT": str(port),
        "SHOP_LOG_LEVEL": "WARNING",
    }
    config = "python:shop_api.realtime.gunicorn_config"
    command = [sys.executable, "-m", "gunicorn", "-c", config, "shop_api.realtime.wsgi:app"]
    with tempfile.TemporaryFile() as log:
        master = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 30
            while not (workers := psutil.Process(master.pid).children()) or not _is_open(port):
                if time.monotonic() > deadline:
                    raise RuntimeError("the realtime process did not start in time")
                time.sleep(0.1)
            time.sleep(2)
            yield port, workers[0]
        finally:
            master.terminate()
            master.wait(timeout=30)


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _measure_relay(shop: Shop) -> Result:
    """A backlog, from the relay's start to the last message at a subscriber."""
    for _ in range(EVENTS // EVENTS_PER_COMMIT):
        shop.announce(EVENTS_PER_COMMIT)
    with redis.Redis.from_url(shop.stores.redis_url) as client, client.pubsub() as pubsub:
        pubsub.subscribe(channel_of(shop.tenant_id))
        pubsub.get_message(timeout=5)
        started = time.monotonic()
        with _relaying(shop.stores):
            received = 0
            while received < EVENTS:
                message = pubsub.get_message(timeout=10)
                if message is None:
                    raise RuntimeError("the relay stopped publishing")
                received += message["type"] == "message"
            rate = received / (time.monotonic() - started)
    ratio = rate / RELAY_FLOOR_PER_SECOND
    return Result("relay a backlog", rate, RELAY_FLOOR_PER_SECOND, "events/s", ratio, 1.0)


class Listener:
    """A WebSocket client that knows just enough to count frames."""

    def __init__(self, port: int, ticket: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.sendall(
            (
                f"GET /ws?ticket={ticket} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ).encode()
        )
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self.socket.recv(4096)
        self._buffer = self._buffer.split(b"\r\n\r\n", 1)[1]
        if self.receive()["type"] != "connected":
            raise RuntimeError("not connected")

    def receive(self) -> dict[str, Any]:
        """The next message."""
        while (message := self._parse()) is None:
            self._buffer += self.socket.recv(65536)
        return message

    def _parse(self) -> dict[str, Any] | None:
        if len(self._buffer) < 4:
            return None
        size, start = self._buffer[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(self._buffer[2:4], "big"), 4
        if len(self._buffer) < start + size:
            return None
        payload = self._buffer[start : start + size]
        self._buffer = self._buffer[start + size :]
        message: dict[str, Any] = json.loads(payload)
        return message


def _measure_delay(shop: Shop, port: int) -> Result:
    with redis.Redis.from_url(shop.stores.redis_url) as client:
        listener = Listener(port, shop.ticket(client))
    time.sleep(1)
    delays = []
    for _ in range(DELAYS):
        shop.announce()
        committed = time.monotonic()
        listener.receive()
        delays.append((time.monotonic() - committed) * 1000)
    listener.socket.close()
    p99 = quantiles(delays, n=100)[98]
    ratio = p99 / DELAY_P99_MS
    return Result("commit → WebSocket, p99", p99, DELAY_P99_MS, "ms", ratio, 1.0, is_at_most=True)


def _measure_broadcast(shop: Shop, port: int, process: psutil.Process) -> list[Result]:
    """One event to many listeners: time to the last of them, and memory for each."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = process.memory_info().rss
    with redis.Redis.from_url(shop.stores.redis_url) as client, ExitStack() as open_sockets:
        tickets = [shop.ticket(client) for _ in range(LISTENERS)]
        with ThreadPoolExecutor(8) as pool:
            listeners = list(pool.map(lambda ticket: Listener(port, ticket), tickets))
        for listener in listeners:
            open_sockets.enter_context(listener.socket)
        time.sleep(2)
        kib = (process.memory_info().rss - before) / 1024 / LISTENERS
        seconds = min(_broadcast(shop, listeners) for _ in range(3))
    rate = LISTENERS / seconds
    return [
        Result(
            f"broadcast to {LISTENERS} WebSockets",
            rate,
            BROADCAST_FLOOR_PER_SECOND,
            "frames/s",
            rate / BROADCAST_FLOOR_PER_SECOND,
            1.0,
        ),
        Result(
            "memory of an open WebSocket",
            kib,
            LISTENER_KIB,
            "KiB",
            kib / LISTENER_KIB,
            1.0,
            is_at_most=True,
        ),
    ]


def _broadcast(shop: Shop, listeners: list[Listener]) -> float:
    with selectors.DefaultSelector() as selector:
        for listener in listeners:
            selector.register(listener.socket, selectors.EVENT_READ, listener)
        started = time.monotonic()
        shop.announce()
        waiting = len(listeners)
        while waiting:
            for key, _ in selector.select(10):
                key.data.receive()
                selector.unregister(key.fileobj)
                waiting -= 1
        return time.monotonic() - started
