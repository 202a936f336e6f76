"""Counts requests: method, endpoint, status, duration, sizes.

Belongs here: what of a request is counted. Does not: what the metrics are called and how they reach
Prometheus (shop_api/metrics).
"""

import time

from shop_api.kernel.exchange import Answer, Exchange, Stage
from shop_api.metrics.tally import NO_LENGTH, tally

# For an endpoint that is none: no route matched, or a refusal came before the route was known.
NO_ENDPOINT = "none"


class Metrics:
    """Counts every request, refusals and failures too."""

    def __init__(self, forward: Stage) -> None:
        self.forward = forward
        self.count = tally.count_request

    def __call__(self, exchange: Exchange) -> Answer:
        started = time.perf_counter()
        status, sent = 500, NO_LENGTH
        try:
            answer = self.forward(exchange)
            status, body = answer.status, answer.body
            sent = len(body) if isinstance(body, bytes) else _declared(answer)
        finally:
            exchange.seconds = seconds = time.perf_counter() - started
            method = exchange.method
            self.count(
                (method, exchange.route or NO_ENDPOINT, status),
                (
                    exchange.received_bytes,
                    sent if method != "HEAD" else 0,
                    0 if exchange.principal is None else exchange.principal.tenant_id.int,
                    exchange.cache_status == "hit",
                    seconds,
                ),
            )
        return answer


def _declared(answer: Answer) -> int:
    length = answer.header("Content-Length")
    return NO_LENGTH if length is None else int(length)
