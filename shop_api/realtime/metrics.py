"""Metrics of the realtime process: `GET /metrics`, for a machine without an api process too.

Belongs here: the endpoint, and the errors a close code stands for. Does not: what else is counted
(connection.py, websocket.py).
"""

import hmac

from flask import Flask, Response, request

from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.principal import METRICS, OPERATOR_KEYS
from shop_api.metrics.definitions import websocket_errors
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


def count_close(code: int) -> None:
    """Count a close with that code, if it tells of a fault."""
    error_type = ERROR_TYPES.get(code)
    if error_type is not None:
        websocket_errors.labels(error_type).inc()


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
