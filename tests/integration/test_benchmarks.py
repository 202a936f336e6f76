"""The benchmarks of realtime and webhooks run, and measure what they name; not how fast."""

from benchmarks.bench_realtime import measure_realtime
from benchmarks.bench_webhooks import measure_webhooks
from benchmarks.servers import fresh_stores


def test_realtime_and_webhooks_are_measured() -> None:
    with fresh_stores() as stores:
        relay, pushed, placed, errors, memory, broadcast = measure_realtime(
            stores, sockets=20, events=200, open_seconds=0.0, order_seconds=1
        )
        (webhooks,) = measure_webhooks(stores, events=100)
    assert errors.is_met
    assert memory.measured > 0
    for result in (relay, pushed, placed, broadcast, webhooks):
        assert result.measured > 0, result
