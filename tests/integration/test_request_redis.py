"""Redis as requests ask it, against a real server that stops, hangs and comes back."""

import gc
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import redis
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from shop_api.db.request_redis import FAILURE_LIMIT, OPEN_SECONDS, RedisAway, RequestRedis
from shop_api.stack.redis import EmbeddedRedis, start_redis
from shop_api.tracing.commands import watch_commands
from tests.fixtures.processes import wait_until
from tests.fixtures.stores import store_folder

THREADS = 6
# more than redis-py's pool has by default
MANY_THREADS = 130


@pytest.fixture
def embedded() -> Iterator[EmbeddedRedis]:
    with store_folder() as folder:
        server = start_redis(folder)
        yield server
        server.stop()


def is_away(requests: RequestRedis) -> bool:
    try:
        requests.ask(redis.Redis.ping)
    except RedisAway:
        return True
    return False


def test_a_hung_server_costs_a_few_timeouts_and_is_found_again(embedded: EmbeddedRedis) -> None:
    requests = RequestRedis(embedded.url)
    assert requests.ask(redis.Redis.ping)
    assert embedded.process is not None
    embedded.process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(FAILURE_LIMIT):
            assert is_away(requests)
        started = time.monotonic()
        # within OPEN_SECONDS: none of them waits
        for _ in range(1000):
            assert is_away(requests)
        assert time.monotonic() - started < OPEN_SECONDS / 2
    finally:
        embedded.process.send_signal(signal.SIGCONT)
    wait_until(lambda: not is_away(requests), OPEN_SECONDS * 3)
    requests.close()


def test_a_stopped_server_is_away_at_once_and_found_again(embedded: EmbeddedRedis) -> None:
    requests = RequestRedis(embedded.url)
    assert requests.ask(redis.Redis.ping)
    folder = embedded.socket.parent.parent
    embedded.stop()
    assert all(is_away(requests) for _ in range(FAILURE_LIMIT + 1))
    assert requests.breaker.is_open
    again = start_redis(folder)
    try:
        wait_until(lambda: not is_away(requests), OPEN_SECONDS * 3)
    finally:
        again.stop()
    requests.close()


def test_threads_whose_connections_were_closed_meanwhile_notice_nothing(
    embedded: EmbeddedRedis,
) -> None:
    requests = RequestRedis(embedded.url)
    begin = threading.Barrier(THREADS)

    def ask(_: int) -> int:
        begin.wait(5)
        return int(requests.ask(lambda client: client.client_id()))

    with ThreadPoolExecutor(THREADS) as pool:
        before = set(pool.map(ask, range(THREADS)))
        # each on a connection of its own, which it keeps
        assert len(before) == THREADS
        assert set(pool.map(ask, range(THREADS))) == before
        with redis.Redis.from_url(embedded.url) as other:
            other.client_kill_filter(_type="normal", skipme=True)
        after = set(pool.map(ask, range(THREADS)))
        assert len(after) == THREADS
        assert not after & before
    assert not requests.breaker.is_open
    requests.close()


def test_many_threads_ask_at_once_each_on_its_own_connection(embedded: EmbeddedRedis) -> None:
    # patient: so many threads share the cores of a test machine
    requests = RequestRedis(embedded.url, timeout_seconds=10)
    begin = threading.Barrier(MANY_THREADS)

    def ask(_: int) -> int:
        begin.wait(20)
        return int(requests.ask(lambda client: client.client_id()))

    with ThreadPoolExecutor(MANY_THREADS) as pool:
        assert len(set(pool.map(ask, range(MANY_THREADS)))) == MANY_THREADS
    assert not requests.breaker.is_open
    requests.close()


def get_together(client: redis.Redis) -> list[object]:
    with client.pipeline() as pipeline:
        pipeline.get("no-such-key")
        return pipeline.execute()


def ask_in_a_span(requests: RequestRedis, tracer: Tracer) -> None:
    with tracer.start_as_current_span("thread"):
        assert requests.ask(redis.Redis.ping)
        assert requests.ask(get_together) == [None]


@pytest.mark.parametrize("is_traced", [False, True])
def test_threads_that_ended_leave_no_connections(embedded: EmbeddedRedis, is_traced: bool) -> None:
    requests = RequestRedis(embedded.url, timeout_seconds=10)
    provider, spans = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("tests")
    if is_traced:
        requests.watch(partial(watch_commands, tracer))
    # the garbage collector would close them at last
    gc.disable()
    try:
        for _ in range(MANY_THREADS):
            thread = threading.Thread(target=ask_in_a_span, args=(requests, tracer))
            thread.start()
            thread.join()
        with redis.Redis.from_url(embedded.url) as other:
            connections = len(other.client_list())
    finally:
        gc.enable()
    assert connections < THREADS
    commands = Counter(s.name for s in spans.get_finished_spans() if s.name != "thread")
    assert commands == (dict.fromkeys(("PING", "PIPELINE"), MANY_THREADS) if is_traced else {})
    requests.close()


def test_what_a_call_finds_may_be_nothing(redis_url: str) -> None:
    requests = RequestRedis(redis_url)
    assert requests.ask(lambda client: client.get("no-such-key")) is None
    requests.close()
