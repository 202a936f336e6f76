"""From an order over HTTP to open sockets and to the dashboard, through all real processes.

`shop-api serve` runs as it does for a user, with one worker process of each kind. What a message
took counts from the start of the transaction that recorded it (pushes.py).
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from benchmarks.listeners import listening
from benchmarks.load import Connection, connections, request
from benchmarks.measure import Result
from benchmarks.pushes import push_result, rate_result
from benchmarks.servers import Stores, free_port
from benchmarks.shop import BenchShop, make_shop, variant_ids

ORDERS_PER_SECOND = 100
SECONDS = 10
CLIENTS = 8
LISTENERS = 20
# new listeners are held until they may have resumed
SETTLE_SECONDS = 1.0
DASHBOARDS = 5
DASHBOARD_BUDGET_SECONDS = 5.0
START_SECONDS = 60.0
TODAY = "/api/v1/analytics/dashboard?period=today"


def measure_push(
    stores: Stores, *, orders_per_second: int = ORDERS_PER_SECOND, seconds: int = SECONDS
) -> list[Result]:
    """The slowest of a hundred pushes at a steady rate of orders; orders on the dashboard."""
    shop = make_shop(stores, products=1_000)
    variants = [str(variant) for variant in variant_ids(stores, shop, 500)]
    with _product(stores) as (api_port, realtime_port):
        tickets = [_ticket(api_port, shop) for _ in range(LISTENERS)]
        with listening(realtime_port, tickets) as crowd:
            time.sleep(SETTLE_SECONDS)
            started = time.monotonic()
            placed = _place_steadily(api_port, shop, variants, orders_per_second, seconds)
            rate = len(placed) / (time.monotonic() - started)
            pushed = push_result(crowd, placed, LISTENERS, orders_per_second)
        return [
            pushed,
            rate_result(rate, orders_per_second),
            _dashboard_result(api_port, shop, variants),
        ]


@contextmanager
def _product(stores: Stores) -> Iterator[tuple[int, int]]:
    """`shop-api serve`, ready; ports of the api and of realtime."""
    api_port, realtime_port = free_port(), free_port()
    environment = {
        **stores.environment(),
        "SHOP_API_PORT": str(api_port),
        "SHOP_REALTIME_PORT": str(realtime_port),
        "SHOP_API_WORKERS": "1",
    }
    command = [str(Path(sys.executable).with_name("shop-api")), "serve"]
    with tempfile.TemporaryFile() as log, tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, env=environment, stdout=told, stderr=log)
        try:
            deadline = time.monotonic() + START_SECONDS
            while b"ready" not in os.pread(told.fileno(), 65_536, 0):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(os.pread(log.fileno(), 4096, 0).decode())
                time.sleep(0.1)
            yield api_port, realtime_port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _ask(connection: Connection, data: bytes, status: int) -> dict[str, object]:
    connection.send(data)
    answered, body = connection.read()
    if answered != status:
        raise RuntimeError(f"{answered}: {body[:300]!r}")
    found: dict[str, object] = json.loads(body)
    return found


def _ticket(port: int, shop: BenchShop) -> str:
    with connections(port, 1) as (connection,):
        data = request("POST", "/api/v1/realtime/tickets", shop.key, b"{}", uuid4().hex)
        return str(_ask(connection, data, 201)["ticket"])


def _order(shop: BenchShop, variant: str) -> bytes:
    body = json.dumps({"lines": [{"variant_id": variant, "quantity": 1}]}).encode()
    return request("POST", "/api/v1/orders", shop.key, body, uuid4().hex)


def _place_steadily(
    port: int, shop: BenchShop, variants: list[str], per_second: int, seconds: int
) -> set[str]:
    """Orders at a steady rate, by clients in turn; their ids."""
    placed: set[str] = set()
    started = time.monotonic()

    def place(number: int) -> None:
        mine = itertools.cycle(variants[number::CLIENTS])
        with connections(port, 1) as (connection,):
            for turn in range(number, per_second * seconds, CLIENTS):
                time.sleep(max(0, started + turn / per_second - time.monotonic()))
                placed.add(str(_ask(connection, _order(shop, next(mine)), 201)["id"]))

    threads = [threading.Thread(target=place, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return placed


def _dashboard_result(port: int, shop: BenchShop, variants: list[str]) -> Result:
    """The slowest of some orders, from its answer to a dashboard that counts it."""
    slowest = 0.0
    with connections(port, 1) as (connection,):
        for variant in variants[:DASHBOARDS]:
            _wait_for_orders(connection, shop, _orders_in_postgres(connection, shop))
            wanted = _orders_in_postgres(connection, shop) + 1
            _ask(connection, _order(shop, variant), 201)
            slowest = max(slowest, _wait_for_orders(connection, shop, wanted))
    name = f"order → dashboard, slowest of {DASHBOARDS} / budget"
    ratio = slowest / DASHBOARD_BUDGET_SECONDS
    return Result(name, slowest, DASHBOARD_BUDGET_SECONDS, "s", ratio, 1, is_at_most=True)


def _orders_in_postgres(connection: Connection, shop: BenchShop) -> int:
    path = "/api/v1/orders?limit=1&include_total=true"
    return int(str(_ask(connection, request("GET", path, shop.key), 200)["total"]))


def _wait_for_orders(connection: Connection, shop: BenchShop, wanted: int) -> float:
    """Seconds until the dashboard of today counts so many orders."""
    started = time.monotonic()
    while True:
        answer = _ask(connection, request("GET", TODAY, shop.key), 200)
        orders = answer["orders"]
        if isinstance(orders, dict) and orders["total"] >= wanted:
            return time.monotonic() - started
        if time.monotonic() - started > 30:
            raise RuntimeError(f"the dashboard counts {orders}, not {wanted}")
        time.sleep(0.02)
