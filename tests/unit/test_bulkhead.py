"""Places and who takes them: never more than there are, none lost, and nobody waits in vain."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_api.gateway.bulkhead import Bulkhead
from shop_api.gateway.places import Places
from shop_api.kernel.errors import DomainError
from shop_api.kernel.exchange import IS_INNER, Answer, Exchange

NOW = datetime(2026, 1, 1, tzinfo=UTC)
THREADS = 8
LONG_LIMIT, LONG_WAITING, READS_LIMIT = 4, 2, 6
REPORTS, ORDERS, PRODUCTS = "/api/v1/reports", "/api/v1/orders", "/api/v1/products"


@given(st.integers(1, 4), st.lists(st.booleans(), max_size=60))
def test_as_many_have_places_as_there_are(limit: int, moves: list[bool]) -> None:
    places, held = Places(limit, 0.0, 0), 0
    for takes in moves:
        if takes:
            assert places.take() is (held < limit)
            held = min(limit, held + 1)
        elif held:
            places.give_back()
            held -= 1
        assert places.taken == held


def test_who_waits_gets_the_place_that_comes_free() -> None:
    places = Places(1, 5.0, 1)
    assert places.take()
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(places.take)
        while not places.waiting:
            time.sleep(0.001)
        # no more than one may wait
        assert not places.take()
        places.give_back()
        assert waits.result(5)
    assert (places.taken, places.waiting) == (1, 0)


def test_nobody_waits_for_places_that_are_held_for_long() -> None:
    places = Places(1, 0.05, 5)
    assert places.take()
    started = time.monotonic()
    assert not places.take()
    assert time.monotonic() - started >= 0.05
    started = time.monotonic()
    assert not any(places.take() for _ in range(100))
    assert time.monotonic() - started < 0.05
    places.give_back()
    assert places.take()


def test_many_threads_lose_no_place() -> None:
    places, most, running = Places(3, 5.0, 16), 0, 0
    lock = threading.Lock()

    def hold(_: int) -> bool:
        nonlocal most, running
        if not places.take():
            return False
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.0005)
        with lock:
            running -= 1
        places.give_back()
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(hold, range(400)))
    assert most == 3
    assert (places.taken, places.waiting) == (0, 0)


class Server:
    """The stage with a pool of threads before it; what comes to its end waits to be let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.bulkhead = Bulkhead(self._end, THREADS, None)
        self.pool = ThreadPoolExecutor(40)

    def _end(self, _: Exchange) -> Answer:
        self.let_go.wait(10)
        return Answer(200, [], b"")

    def send(self, path: str, method: str = "GET", *, is_inner: bool = False) -> "Future[int]":
        exchange = Exchange({IS_INNER: True} if is_inner else {}, method, path, NOW)
        return self.pool.submit(self._ask, exchange)

    def _ask(self, exchange: Exchange) -> int:
        try:
            return self.bulkhead(exchange).status
        except DomainError as error:
            return 503 if (error.code, error.retry_after_seconds) == ("server_busy", 1) else 500


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.let_go.set()
    found.pool.shutdown()


@contextmanager
def let_go(server: Server) -> Iterator[None]:
    yield
    server.let_go.set()


def statuses(futures: "list[Future[int]]") -> list[int]:
    return sorted(future.result(10) for future in futures)


def wait_for(places: Places, taken: int) -> None:
    deadline = time.monotonic() + 5
    while places.taken < taken:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_reports_hold_half_of_the_threads_and_changes_all(server: Server) -> None:
    reports = [server.send(REPORTS) for _ in range(12)]
    wait_for(server.bulkhead.long, LONG_LIMIT)
    changes = [server.send(ORDERS, "POST") for _ in range(THREADS)]
    health = server.send("/health/live")
    # those that had no place are told while the others still run
    deadline = time.monotonic() + 5
    while sum(future.done() for future in reports) < 12 - LONG_LIMIT:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not any(future.done() for future in changes)
    with let_go(server):
        pass
    assert statuses(reports) == [200] * LONG_LIMIT + [503] * (12 - LONG_LIMIT)
    assert statuses([*changes, health]) == [200] * (THREADS + 1)
    assert server.bulkhead.long.taken == server.bulkhead.reads.taken == 0


def test_reads_and_reports_together_leave_threads_for_changes(server: Server) -> None:
    reports = [server.send(REPORTS) for _ in range(LONG_LIMIT)]
    wait_for(server.bulkhead.long, LONG_LIMIT)
    reads = [server.send(PRODUCTS) for _ in range(READS_LIMIT)]
    wait_for(server.bulkhead.reads, READS_LIMIT)
    deadline = time.monotonic() + 5
    while sum(future.done() for future in reads) < LONG_LIMIT:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    batch = server.send("/api/v1/batch", "POST")
    assert batch.result(5) == 503
    change = server.send(ORDERS, "POST")
    with let_go(server):
        pass
    assert statuses(reads) == [200] * 2 + [503] * LONG_LIMIT
    assert statuses([*reports, change]) == [200] * (LONG_LIMIT + 1)


def test_requests_in_a_batch_stand_in_its_place(server: Server) -> None:
    batches = [server.send("/api/v1/batch", "POST") for _ in range(READS_LIMIT)]
    wait_for(server.bulkhead.reads, READS_LIMIT)
    inner = [server.send(PRODUCTS, is_inner=True) for _ in range(READS_LIMIT)]
    reports = [server.send(REPORTS, is_inner=True) for _ in range(LONG_LIMIT + LONG_WAITING)]
    time.sleep(0.5)
    with let_go(server):
        pass
    assert statuses(batches + inner) == [200] * (2 * READS_LIMIT)
    assert statuses(reports) == [200] * LONG_LIMIT + [503] * LONG_WAITING


def test_short_requests_wait_instead_of_being_refused(server: Server) -> None:
    server.let_go.set()
    with ThreadPoolExecutor(THREADS) as pool:
        for path in (PRODUCTS, REPORTS):
            exchange = Exchange({}, "GET", path, NOW)
            count = THREADS if path == PRODUCTS else LONG_LIMIT + LONG_WAITING

            def burst(_: int, exchange: Exchange = exchange) -> int:
                return server._ask(exchange)

            for _ in range(20):
                assert set(pool.map(burst, range(count))) == {200}


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8, 16, 256])
@pytest.mark.parametrize("long_threads", [None, 1, 300])
def test_every_class_has_a_place_whatever_is_set(threads: int, long_threads: int | None) -> None:
    bulkhead = Bulkhead(lambda _: Answer(200, [], b""), threads, long_threads)
    assert 1 <= bulkhead.long.limit <= threads
    assert 1 <= bulkhead.reads.limit <= threads
    for path in (REPORTS, PRODUCTS):
        assert bulkhead(Exchange({}, "GET", path, NOW)).status == 200
