"""Counts requests: method, endpoint, status, duration, sizes.

Belongs here: what of a request is counted. Does not: what the metrics are called and how they reach
Prometheus (shop_api/metrics).
"""

import re
import time

from shop_api.kernel.exchange import Answer, Exchange, Stage
from shop_api.metrics.tally import tally

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# For an endpoint: what no route matched, a preflight, a refusal before the route was known.
NO_ENDPOINT = "none"
NO_LENGTH = -1

_LENGTH = re.compile(r"[0-9]{1,18}")


class Metrics:
    """Counts every request, refusals and failures too."""

    def __init__(self, forward: Stage) -> None:
        self.forward = forward

    def __call__(self, exchange: Exchange) -> Answer:
        started = time.perf_counter()
        try:
            answer = self.forward(exchange)
        except Exception:
            self._count(exchange, 500, time.perf_counter() - started, NO_LENGTH)
            raise
        seconds = time.perf_counter() - started
        self._count(exchange, answer.status, seconds, _length(exchange, answer))
        return answer

    def _count(self, exchange: Exchange, status: int, seconds: float, sent: int) -> None:
        # a client may make methods up
        method = exchange.method if exchange.method in METHODS else "other"
        declared = exchange.environ.get("CONTENT_LENGTH")
        received = int(declared) if declared and _LENGTH.fullmatch(declared) else 0
        tally.count_request(
            (method, exchange.route or NO_ENDPOINT, status, seconds, received, sent)
        )


def _length(exchange: Exchange, answer: Answer) -> int:
    if exchange.method == "HEAD":
        return 0
    body = answer.body
    if isinstance(body, bytes):
        return len(body)
    declared = answer.header("Content-Length")
    return NO_LENGTH if declared is None else int(declared)
