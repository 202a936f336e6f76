"""How long orders took to those who listen.

Belongs here: judging what listeners noted. Does not: placing orders (bench_push.py over HTTP,
order_stream.py without it).

A push counts from the start of the transaction that placed the order, which is before its commit.
"""

from datetime import datetime
from statistics import quantiles

from benchmarks.listeners import Crowd, Heard, Notes
from benchmarks.measure import Result

BUDGET_MS = 250.0
PATIENCE_SECONDS = 10.0


def push_result(crowd: Crowd, placed: set[str], listeners: int, per_second: int) -> Result:
    """Of all orders at all listeners, from the start of the transaction that recorded each."""

    def orders(notes: Notes) -> list[Heard]:
        heard = notes.heard.values()
        return [
            order
            for order in heard
            if order.message["type"] == "order_created"
            and order.message["data"]["order_id"] in placed
        ]

    def is_complete(notes: Notes) -> bool:
        counts = [len(order.came_at) for order in orders(notes)]
        return len(counts) == len(placed) and min(counts) == listeners

    notes = crowd.wait_until(is_complete, PATIENCE_SECONDS)
    if notes.errors or not is_complete(notes):
        raise RuntimeError(f"not all orders were pushed: {dict(notes.errors)}")
    delays_ms = [
        (came_at - datetime.fromisoformat(order.message["timestamp"]).timestamp()) * 1000
        for order in orders(notes)
        for came_at in order.came_at
    ]
    p99 = quantiles(delays_ms, n=100)[-1]
    name = f"order → {listeners} WebSockets, p99 of {len(placed):,} at {per_second}/s / budget"
    return Result(name, p99, BUDGET_MS, "ms", p99 / BUDGET_MS, 1, is_at_most=True)


def rate_result(rate: float, wanted: float) -> Result:
    """Whether there were as many orders as the push was to be measured with."""
    return Result("orders placed meanwhile", rate, wanted, "orders/s", rate / wanted, 0.95)
