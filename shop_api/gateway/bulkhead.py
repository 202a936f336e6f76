"""Bulkheads: what takes long never holds the threads that orders need.

Belongs here: which requests share places, and how many there are. Does not: waiting for bodies
(body_readers.py). The server's own queue before the threads cannot be seen from here, only how many
requests of each class run. So the classes are nested: figures, reports, searches and imports hold
half of the threads; with all other reads and batches they hold all but a quarter; changes may hold
every one. What its class has no place for is refused, so that it does not stand before orders in
the queue. A streamed answer gives its place back when it begins.
"""

from shop_api.gateway.places import Places
from shop_api.gateway.refusal import server_busy
from shop_api.kernel.exchange import IS_INNER, Answer, Exchange, Stage

# Longer than all but the slowest reads take, and short for a thread to be without work.
WAIT_SECONDS = 0.25

BASE = "/api/v1/"
LONG = (
    "/api/v1/analytics",
    "/api/v1/reports",
    "/api/v1/search",
    "/api/v1/imports",
    "/api/v1/products/bulk-import",
)
BATCH = "/api/v1/batch"


class Bulkhead:
    """503 `server_busy` for what its class has no place for."""

    def __init__(self, forward: Stage, threads: int, long_threads: int | None) -> None:
        self.forward = forward
        for_changes = max(1, threads // 4)
        long_limit = min(long_threads or max(1, threads // 2), threads)
        # who waits for a place holds a thread, too
        self.long = Places(long_limit, WAIT_SECONDS, max(0, threads - long_limit - for_changes))
        self.reads = Places(max(1, threads - for_changes), WAIT_SECONDS, for_changes)

    def __call__(self, exchange: Exchange) -> Answer:
        path = exchange.path
        if not path.startswith(BASE):
            # health, metrics and documents
            return self.forward(exchange)
        if path.startswith(LONG):
            return self._within(self.long, "long", exchange, self._read)
        if exchange.method in ("GET", "HEAD") or path == BATCH:
            return self._read(exchange)
        return self.forward(exchange)

    def _read(self, exchange: Exchange) -> Answer:
        if IS_INNER in exchange.environ:
            # its batch holds a place, and the thread
            return self.forward(exchange)
        return self._within(self.reads, "reads", exchange, self.forward)

    @staticmethod
    def _within(places: Places, name: str, exchange: Exchange, forward: Stage) -> Answer:
        if not places.take():
            raise server_busy(name, "Too many requests of this kind are running.")
        try:
            return forward(exchange)
        finally:
            places.give_back()
