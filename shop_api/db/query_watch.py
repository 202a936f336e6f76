"""What is sent to Postgres: counted for the request it serves, and marked when it is slow.

Belongs here: listening to an engine's statements. Does not: the request's own line (gateway). A
slow statement is told by its text, which has placeholders and no values.
"""

import logging
import threading
import time
from typing import Any

from sqlalchemy import Engine, event

from shop_api.metrics.definitions import database_slow_queries

MAX_TEXT_LENGTH = 500

logger = logging.getLogger(__name__)


class Served(threading.local):
    """The request this thread works for, and the statements it has sent so far."""

    request_id = ""
    trace_id = ""
    query_count = 0
    # of the statement that runs
    started_at = 0.0


served = Served()


def watch_queries(engine: Engine, slow_seconds: float) -> None:
    """Count the engine's statements, and log those that take longer."""

    @event.listens_for(engine, "before_cursor_execute")
    def begin(*_: Any) -> None:
        served.query_count += 1
        served.started_at = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def end(_: Any, __: Any, text: str, *___: Any) -> None:
        _tell_if_slow(slow_seconds, text)

    @event.listens_for(engine, "handle_error")
    def fail(context: Any) -> None:
        if context.statement is not None:
            _tell_if_slow(slow_seconds, context.statement)


def _tell_if_slow(slow_seconds: float, text: str) -> None:
    seconds = time.perf_counter() - served.started_at
    if seconds <= slow_seconds:
        return
    database_slow_queries.inc()
    logger.warning(
        "slow query",
        extra={
            "statement": " ".join(text.split())[:MAX_TEXT_LENGTH],
            "duration_seconds": round(seconds, 6),
            "request_id": served.request_id,
            "trace_id": served.trace_id,
            "is_slow": True,
        },
    )
