"""Counting of requests: exact over threads, in the buckets Prometheus would choose."""

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as PlainHistogram

from shop_api.gateway.metrics import Metrics
from shop_api.kernel.clock import utc_now
from shop_api.kernel.exchange import Answer, Exchange
from shop_api.metrics.definitions import DURATION_BUCKETS, REGISTRY, SIZE_BUCKETS
from shop_api.metrics.kinds import BatchedCounter, BatchedHistogram
from shop_api.metrics.tally import tally


def value(name: str, **labels: str) -> float:
    """A sample of this process, 0 when there is none."""
    tally.flush()
    return REGISTRY.get_sample_value(name, labels) or 0.0


def asked(method: str = "GET", route: str | None = "/things") -> Exchange:
    exchange = Exchange({}, method, "/things", utc_now())
    exchange.route = route
    return exchange


def samples(histogram: PlainHistogram) -> list[tuple[str, dict[str, str], float]]:
    (metric,) = histogram.collect()
    return [(sample.name, dict(sample.labels), sample.value) for sample in metric.samples]


@given(
    st.lists(
        st.one_of(st.floats(0, 40), st.sampled_from(DURATION_BUCKETS)), min_size=1, max_size=50
    )
)
def test_many_observations_at_once_are_the_same_as_one_by_one(amounts: list[float]) -> None:
    plain = PlainHistogram("x", "x", buckets=DURATION_BUCKETS, registry=CollectorRegistry())
    batched = BatchedHistogram("x", "x", buckets=DURATION_BUCKETS, registry=CollectorRegistry())
    for amount in sorted(amounts):
        plain.observe(amount)
    batched.observe_all(list(amounts))
    for one, other in zip(samples(plain), samples(batched), strict=True):
        assert one[:2] == other[:2]
        assert one[2] == pytest.approx(other[2])


@given(st.lists(st.one_of(st.integers(0, 2 * 10**8), st.sampled_from(SIZE_BUCKETS)), max_size=50))
def test_sizes_counted_are_the_same_as_one_by_one(amounts: list[int]) -> None:
    plain = PlainHistogram("x", "x", buckets=SIZE_BUCKETS, registry=CollectorRegistry())
    batched = BatchedHistogram("x", "x", buckets=SIZE_BUCKETS, registry=CollectorRegistry())
    for amount in amounts:
        plain.observe(amount)
    batched.observe_counted(Counter(amounts))
    assert samples(plain) == samples(batched)


def test_no_request_of_many_threads_is_lost_while_counts_are_added() -> None:
    stage = Metrics(lambda _: Answer(200, [], b"x" * 10))
    labels = {"method": "GET", "endpoint": "/threads", "status": "200"}
    before = value("api_requests_total", **labels)

    def work() -> None:
        for _ in range(5_000):
            stage(asked(route="/threads"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        tally.flush()
    assert value("api_requests_total", **labels) - before == 20_000
    found = {"method": "GET", "endpoint": "/threads"}
    assert value("api_request_duration_seconds_count", **found) == 20_000
    assert value("api_response_size_bytes_sum", **found) == 200_000


def test_counters_that_wait_are_added() -> None:
    registry = CollectorRegistry()
    counter = BatchedCounter("waits", "x", ("kind",), registry=registry)
    for kind in ("a", "b", "a"):
        counter.labels(kind).inc()
    tally.flush()
    assert registry.get_sample_value("waits_total", {"kind": "a"}) == 2
    assert registry.get_sample_value("waits_total", {"kind": "b"}) == 1


def test_a_failure_of_a_stage_is_counted_as_500() -> None:
    def fail(_: Exchange) -> Answer:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Metrics(fail)(asked(route="/fails"))
    assert value("api_requests_total", method="GET", endpoint="/fails", status="500") == 1
    assert value("api_response_size_bytes_count", method="GET", endpoint="/fails") == 0


def test_the_size_of_a_request_is_what_was_received() -> None:
    def receive(exchange: Exchange) -> Answer:
        exchange.received_bytes = 7
        return Answer(200, [], b"")

    exchange = asked("POST", "/received")
    exchange.environ["CONTENT_LENGTH"] = str(10**18 - 1)
    Metrics(receive)(exchange)
    assert value("api_request_size_bytes_sum", method="POST", endpoint="/received") == 7


def test_the_size_of_an_answer_is_what_is_sent() -> None:
    def sent(answer: Answer, method: str = "GET") -> float:
        Metrics(lambda _: answer)(asked(method, "/sent"))
        return value("api_response_size_bytes_sum", method=method, endpoint="/sent")

    assert sent(Answer(200, [], b"12345")) == 5
    assert sent(Answer(200, [("Content-Length", "7")], iter([b"1234567"]))) == 12
    assert sent(Answer(200, [], iter([b"nobody knows"]))) == 12
    assert sent(Answer(200, [], b"12345"), "HEAD") == 0
