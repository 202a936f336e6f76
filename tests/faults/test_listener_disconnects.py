"""Listeners that break off again and again, over both transports, hear every event once in order.

Two realtime processes, one of which is killed meanwhile, and a neighbour whose events nobody is to
hear.
"""

import contextlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
import websocket

from shop_api.kernel.principal import SCOPES, Principal
from shop_api.kernel.rate_limits import PLAN_LIMITS
from shop_api.realtime.tickets import issue_ticket
from tests.factories.rows import make_tenant
from tests.fixtures.event_stream import EventStream
from tests.fixtures.realtime import Realtime, Socket, announce, realtime_process, relaying
from tests.fixtures.stores import Database

LISTENERS = 10
DISCONNECTS = 1000
FIRST_ID = 1
MAX_READ = 5
# after which one of the processes dies
KILLED_AT = 400
NO_NEWS = (TimeoutError, websocket.WebSocketTimeoutException)
BROKEN = (OSError, websocket.WebSocketException, AssertionError, ValueError)

Receive = Callable[[], dict[str, Any] | None]


class Run:
    """What the listeners of a test share."""

    def __init__(self, processes: list[Realtime], tenant_id: UUID, seed: int) -> None:
        self.alive = processes
        self.tenant_id = tenant_id
        self.random = random.Random(seed)
        self.bearer = processes[0].bearer(tenant_id)
        self.key_id = processes[0].key(tenant_id, frozenset(SCOPES))[0]
        self.redis = redis.Redis.from_url(str(processes[0].settings.redis_url))
        self.lock = threading.Lock()
        self.disconnects = 0
        self.is_over = threading.Event()
        # the last event, once all are written
        self.is_written = threading.Event()
        self.last_id = 0

    def ticket(self) -> str:
        """One more for the same key."""
        actor = f"api_key:{self.key_id}"
        limits = PLAN_LIMITS["enterprise"]
        holder = Principal(self.tenant_id, actor, frozenset(SCOPES), limits)
        return issue_ticket(self.redis, holder, 60)

    def count(self) -> None:
        """One listener more has broken off; the first process is killed in the midst of it."""
        with self.lock:
            self.disconnects += 1
            if self.disconnects == KILLED_AT:
                self.alive.pop(0).kill()
            if self.disconnects >= DISCONNECTS:
                self.is_over.set()


class Listener:
    """Keeps what it heard, and resumes after the last of it."""

    def __init__(self, run: Run, number: int) -> None:
        self.run = run
        self.random = random.Random(run.random.random())
        self.is_socket = number % 2 == 0
        self.heard: list[int] = []
        self.foreign: list[Any] = []

    @property
    def last_id(self) -> int:
        return self.heard[-1] if self.heard else FIRST_ID

    def listen(self) -> None:
        """Break off at random, until there were enough of that; then hear the rest."""
        while not self.run.is_over.is_set():
            self._once(self.random.randint(0, MAX_READ), 0.3)
            self.run.count()
        self.run.is_written.wait(20)
        deadline = time.monotonic() + 20
        while self.last_id < self.run.last_id and time.monotonic() < deadline:
            self._once(1_000_000, 1.0)

    def _once(self, count: int, seconds: float) -> None:
        process = self.random.choice(self.run.alive)
        with contextlib.suppress(*BROKEN):
            if self.is_socket:
                self._by_socket(process, count, seconds)
            else:
                self._by_stream(process, count, seconds)

    def _by_socket(self, process: Realtime, count: int, seconds: float) -> None:
        found = Socket(process.port, self.run.ticket())
        try:
            found.send(type="resume", last_event_id=self.last_id)
            found.client.settimeout(seconds)
            self._hear(found.receive, count)
        finally:
            self._break_off(found.client.sock, found.client.shutdown)

    def _by_stream(self, process: Realtime, count: int, seconds: float) -> None:
        options: dict[str, Any] = self.random.choice(
            [
                {"last_event_id": self.last_id},
                {"headers": {"Last-Event-ID": str(self.last_id)}},
            ]
        )
        if self.random.random() < 0.5:
            found = EventStream(process.port, bearer=self.run.bearer, **options)
        else:
            found = EventStream(process.port, ticket=self.run.ticket(), **options)
        try:
            assert found.status == 200, found.problem
            found.socket.settimeout(seconds)
            self._hear(found.receive, count)
        finally:
            self._break_off(found.socket, found.close)

    def _hear(self, receive: Receive, count: int) -> None:
        while count and not (self.run.is_written.is_set() and self.last_id >= self.run.last_id):
            try:
                message = receive()
            except NO_NEWS:
                return
            if message is None:
                return
            if message["type"] == "order_created":
                self.heard.append(message["id"])
                if message["data"]["whose"] != str(self.run.tenant_id):
                    self.foreign.append(message)
                count -= 1

    def _break_off(self, open_socket: socket.socket | None, close: Callable[[], None]) -> None:
        """Hang up, or vanish with a reset."""
        if open_socket is not None and self.random.random() < 0.5:
            linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
            open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        close()


@pytest.mark.parametrize("seed", [int(os.environ.get("SHOP_TEST_SEED", "1"))])
def test_a_thousand_disconnects_and_a_killed_process_cost_no_event(
    database: Database, redis_url: str, tenant_id: UUID, tmp_path: Path, seed: int
) -> None:
    settings = database.settings(tmp_path, redis_url)
    neighbour = make_tenant(database)
    with (
        relaying(database.exporter_url, redis_url),
        realtime_process(settings, tmp_path / "first") as first,
        realtime_process(settings, tmp_path / "second") as second,
        ThreadPoolExecutor(LISTENERS) as pool,
    ):
        run = Run([first, second], tenant_id, seed)
        listeners = [Listener(run, number) for number in range(LISTENERS)]
        listening = [pool.submit(listener.listen) for listener in listeners]
        written = FIRST_ID
        while not run.is_over.is_set():
            for whose in (neighbour, tenant_id):
                count = run.random.randint(1, 3)
                announce(database, whose, *[("order_created", {"whose": str(whose)})] * count)
            written += count
            time.sleep(0.03)
        run.last_id = written
        run.is_written.set()
        for found in listening:
            found.result(timeout=60)
    assert run.disconnects >= DISCONNECTS
    assert written > 100
    for listener in listeners:
        assert listener.foreign == []
        assert listener.heard == list(range(FIRST_ID + 1, written + 1))
