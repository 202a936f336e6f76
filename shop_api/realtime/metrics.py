"""Metrics of the realtime process: `GET /metrics`, for a machine without an api process too.

Belongs here: the endpoint, what is counted of a transport's listeners, and the errors a close code
stands for. Does not: counting what is sent (connection.py).
"""

import hmac
from dataclasses import dataclass

from flask import Flask, Response, request
from prometheus_client import Counter, Gauge, Histogram

from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.principal import METRICS, OPERATOR_KEYS
from shop_api.metrics import definitions
from shop_api.metrics.exposition import CONTENT_TYPE, exposition
from shop_api.realtime import connection as closing

# Closes that are no fault (1000, 1001, 1012) are not counted as errors.
ERROR_TYPES = {
    closing.CLOSE_TOO_BIG: "message_too_big",
    closing.CLOSE_TRY_AGAIN: "too_slow",
    closing.CLOSE_BAD_TICKET: "bad_ticket",
    closing.CLOSE_SCOPE: "insufficient_scope",
    closing.CLOSE_IDLE: "idle",
    closing.CLOSE_TOO_MANY: "too_many_connections",
}
UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class ListenerMetrics:
    """What is counted of the listeners of one transport."""

    transport: str
    active: Gauge
    duration: Histogram
    errors: Counter

    def count_close(self, code: int | None) -> None:
        """Count a close with that code, if it tells of a fault."""
        error_type = ERROR_TYPES.get(code) if code is not None else None
        if error_type is not None:
            self.errors.labels(error_type).inc()


WEBSOCKETS = ListenerMetrics(
    "websocket",
    definitions.websocket_connections_active,
    definitions.websocket_connection_duration,
    definitions.websocket_errors,
)
EVENT_STREAMS = ListenerMetrics(
    "sse",
    definitions.sse_connections_active,
    definitions.sse_connection_duration,
    definitions.sse_errors,
)


def add_metrics(app: Flask, metrics_key: str | None) -> None:
    """Route `/metrics`, open to the metrics key."""

    @app.get("/metrics")
    def metrics() -> Response:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not metrics_key or not hmac.compare_digest(given.encode(), metrics_key.encode()):
            raise DomainError(
                ErrorKind.UNAUTHENTICATED,
                "unauthenticated",
                f"Send {OPERATOR_KEYS[METRICS]}: Authorization: Bearer …",
            )
        return Response(exposition(), content_type=CONTENT_TYPE)
