"""kill -9 at random moments while keyed orders are placed with client retries: afterwards there is
one order per key, every event was delivered in order, and the lake equals Postgres.
"""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest
import websocket

from tests.fixtures.copies import SERVE, Copy, postmaster
from tests.fixtures.processes import running, wait_until
from tests.fixtures.stores import store_folder

# 2 000 for the long form, as before a release
ORDERS = int(os.environ.get("SHOP_TEST_FAULT_ORDERS", "300"))
BUYERS = 6
KILL_SECONDS = 1.5
PATIENCE_SECONDS = 120.0


@pytest.fixture
def copy() -> Iterator[Copy]:
    with store_folder() as folder:
        found = Copy(folder)
        with running(SERVE, found.environment, found.log):
            found.wait_ready()
            yield found


class Caller:
    """A client that tries again until it is answered."""

    def __init__(self, copy: Copy, token: str) -> None:
        self.copy = copy
        self.token = token

    def call(
        self, method: str, path: str, body: Any = None, key: str | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the first answer that is not a passing trouble."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                status, data = self._once(method, path, body, key)
            except (OSError, http.client.HTTPException):
                status, data = 0, b""
            is_in_flight = status == 409 and b"idempotency_key_in_flight" in data
            if status not in (0, 503) and not is_in_flight:
                return status, data
            assert time.monotonic() < deadline, f"no answer to {method} {path}: {status} {data!r}"
            time.sleep(0.05)

    def _once(self, method: str, path: str, body: Any, key: str | None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.copy.api_port, timeout=15)
        headers = {"Authorization": f"Bearer {self.token}"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


class Listener(threading.Thread):
    """A WebSocket client that reconnects and resumes, and keeps what it saw."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(daemon=True)
        self.caller = caller
        self.seen: list[dict[str, Any]] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                self._listen()
            except (OSError, websocket.WebSocketException):
                self.stopped.wait(0.1)

    def _listen(self) -> None:
        status, data = self.caller.call("POST", "/api/v1/realtime/tickets", {})
        assert status == 201, data
        ticket = json.loads(data)["ticket"]
        port = self.caller.copy.realtime_port
        client = websocket.create_connection(f"ws://127.0.0.1:{port}/ws?ticket={ticket}", timeout=5)
        try:
            last = self.seen[-1]["id"] if self.seen else 0
            client.send(json.dumps({"type": "resume", "last_event_id": last}))
            while not self.stopped.is_set():
                text = client.recv()
                if not text:
                    raise ConnectionError("closed by the server")
                message = json.loads(text)
                if message["type"] != "connected" and message["id"] is not None:
                    self.seen.append(message)
        finally:
            client.close()

    def orders(self) -> list[str]:
        """The orders announced, as they came."""
        return [
            event["data"]["order_id"] for event in self.seen if event["type"] == "order_created"
        ]


class Killer(threading.Thread):
    """Ends one process at a time, by pid, until told to stop."""

    def __init__(self, copy: Copy, seed: int) -> None:
        super().__init__(daemon=True)
        self.copy = copy
        self.rng = random.Random(seed)
        self.stopped = threading.Event()
        self.kills: list[str] = []

    def run(self) -> None:
        targets = ["api", "postgres", "worker", "api"]
        while not self.stopped.is_set():
            self.rng.shuffle(targets)
            for target in targets:
                if self.stopped.wait(self.rng.uniform(KILL_SECONDS / 2, KILL_SECONDS)):
                    return
                pid = self._find(target)
                if pid is not None and _killed(pid):
                    self.kills.append(target)

    def _find(self, target: str) -> int | None:
        if target == "postgres":
            return postmaster(self.copy.folder)
        if target == "worker":
            found = self.copy.of_command("shop_api.worker")
            return found[0].pid if found else None
        if not self.copy.has_api():
            # still coming back from the last kill: it is to be killed at work
            return None
        servers = self.copy.of_command("api_server")
        parents = {process.pid for process in servers}
        workers = [process for process in servers if _parent(process) in parents]
        return self.rng.choice(workers).pid if workers else None


def _killed(pid: int) -> bool:
    """SIGKILL; False when the process had ended by itself since it was looked up."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0


def command(copy: Copy, *arguments: str) -> str:
    """The output of a shop-api command on this copy."""
    done = subprocess.run(
        [sys.executable, "-m", "shop_api.cli", *arguments],
        env=copy.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_kills_at_random_moments_lose_nothing_and_double_nothing(copy: Copy) -> None:
    command(copy, "tenant", "create", "faults")
    # as many orders as the machine can place
    limits = [f"--limit={name}={10**9}" for name in ("requests", "burst", "mutations")]
    command(copy, "tenant", "limits", "faults", *limits)
    caller = Caller(copy, command(copy, "key", "create", "faults").strip())
    body = {
        "name": "Thing",
        "price": 10,
        "status": "active",
        "inventory": {"quantity": ORDERS + 5},
    }
    status, data = caller.call("POST", "/api/v1/products", body, key="product")
    assert status == 201, data
    variant_id = json.loads(data)["variants"][0]["id"]
    listener = Listener(caller)
    listener.start()
    killer = Killer(copy, seed=20_260_101)
    killer.start()
    keys = [f"order-{uuid4()}" for _ in range(ORDERS)]

    def buy(key: str) -> str:
        lines = {"lines": [{"variant_id": variant_id, "quantity": 1}]}
        time.sleep(0.05)
        status, data = caller.call("POST", "/api/v1/orders", lines, key=key)
        assert status == 201, data
        order_id: str = json.loads(data)["id"]
        return order_id

    with ThreadPoolExecutor(BUYERS) as pool:
        placed = list(pool.map(buy, keys))
    killer.stopped.set()
    killer.join()
    assert len(killer.kills) >= 3, killer.kills
    assert len(set(placed)) == ORDERS
    wait_until(lambda: len(listener.orders()) >= ORDERS, PATIENCE_SECONDS)
    listener.stopped.set()

    assert listener.orders() == list(dict.fromkeys(listener.orders()))
    assert set(listener.orders()) == set(placed)
    ids = [event["id"] for event in listener.seen]
    assert ids == sorted(set(ids))
    wait_until(copy.is_serving, PATIENCE_SECONDS)
    _check_database(copy.folder, placed)
    command(copy, "lake", "run")
    command(copy, "lake", "verify")


def _check_database(folder: Path, placed: list[str]) -> None:
    url = f"postgresql://postgres@/shop?host={folder}/postgres"
    with psycopg.connect(url) as connection:
        orders = {str(row[0]) for row in connection.execute("SELECT id FROM orders")}
        held = connection.execute("SELECT sum(reserved) FROM stock_levels").fetchone()
        events = connection.execute(
            "SELECT count(*), max(sequence) FROM events e"
            " JOIN tenants t ON t.id = e.tenant_id WHERE t.slug = 'faults'"
        ).fetchone()
        answers = connection.execute(
            "SELECT count(*) FROM idempotency_records WHERE status = 201"
        ).fetchone()
    assert orders == set(placed)
    assert held == (ORDERS,)
    assert events is not None
    assert events[0] == events[1]
    assert answers == (ORDERS + 1,)
