"""Uncached reads while Redis is stopped, and while it hangs, beside the same reads with it.

Each run away from Redis begins the moment it goes: the first failures, and what the breaker lets
try, are in it.
"""

import itertools
import signal
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.load import request, run_load
from benchmarks.measure import Result, paired
from benchmarks.servers import Stores, serve
from benchmarks.shop import BenchShop, make_shop
from shop_api.db.request_redis import OPEN_SECONDS
from shop_api.stack.redis import EmbeddedRedis, start_redis

CLIENTS = 16
THREADS = 8
SECONDS = 3.0
ROUNDS = 5
PRODUCT_COUNT = 200
BUDGET = 0.8


class OwnRedis:
    """A Redis that is taken away and brought back."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.server: EmbeddedRedis = start_redis(folder)

    def stop(self) -> None:
        self.server.stop()

    def start(self) -> None:
        self.server = start_redis(self.folder)

    def hang(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.server.process is not None
        self.server.process.send_signal(number)


def measure_redis_away(stores: Stores) -> list[Result]:
    """Throughput without Redis as a part of that with it."""
    shop = make_shop(stores, products=PRODUCT_COUNT)
    own = OwnRedis(stores.folder / "own")
    environment = stores.environment() | {"REDIS_URL": own.server.url}
    try:
        with serve("shop_api.wsgi:app", environment, threads=THREADS) as port:
            reads = Reads(port, shop)
            return [
                reads.beside("stopped", own.stop, own.start),
                reads.beside("hung", own.hang, own.go_on),
            ]
    finally:
        own.stop()


class Reads:
    """Lists of products, each asked for the first time: looked for in the cache, and made."""

    def __init__(self, port: int, shop: BenchShop) -> None:
        self.port = port
        self.shop = shop
        self.numbers = itertools.count(1)

    def beside(
        self, fault: str, take_away: Callable[[], None], bring_back: Callable[[], None]
    ) -> Result:
        """The ratio under a fault."""

        def away() -> float:
            take_away()
            try:
                return self._per_second()
            finally:
                bring_back()
                # the breaker finds it again
                time.sleep(2 * OPEN_SECONDS)

        self._per_second()
        measured, floor, ratio = paired(away, self._per_second, ROUNDS)
        return Result(
            f"uncached lists, Redis {fault} / with it", measured, floor, "req/s", ratio, BUDGET
        )

    def _per_second(self) -> float:
        load = run_load(self.port, self._next, clients=CLIENTS, seconds=SECONDS)
        if set(load.statuses) != {200}:
            raise RuntimeError(f"answers that are no success: {load.statuses}")
        return load.per_second

    def _next(self) -> bytes:
        path = f"/api/v1/products?max_price=1{next(self.numbers):08d}"
        return request("GET", path, self.shop.key)
