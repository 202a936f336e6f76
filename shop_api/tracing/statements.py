"""A span for each statement an engine sends, by its text, which has placeholders and no values.

Belongs here: listening to an engine. Does not: counting statements and marking slow ones
(db/query_watch.py). OpenTelemetry's instrumentors are of no use here: SQLAlchemy's refuses 2.1, and
psycopg's wraps cursors, which statements that travel together go without (db/round_trips.py).
"""

import threading
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Tracer
from sqlalchemy import Engine, event

from shop_api.tracing.errors import fail
from shop_api.tracing.texts import described


class _Sent(threading.local):
    """The statements a thread has sent and that are not answered, and whose they are."""

    parent: Span = INVALID_SPAN

    def __init__(self) -> None:
        self.spans: list[Span] = []


class StatementSpans:
    """The spans of one engine's statements; what is sent outside a traced request or job has none.

    Statements that travel together are sent one after the other and answered all at once, so each
    span lasts from there to the answer.
    """

    def __init__(self, tracer: Tracer, engine: Engine) -> None:
        self._tracer = tracer
        self._sent = _Sent()
        url = engine.url
        self._database = url.database or ""
        self._attributes: dict[str, str | int] = {
            "db.system.name": "postgresql",
            "db.namespace": self._database,
            "server.address": url.host or str(url.query.get("host", "")),
        }
        if url.port is not None:
            self._attributes["server.port"] = url.port
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)
        event.listen(engine, "handle_error", self._fail)

    def _begin(self, _: Any, __: Any, text: str, *___: Any) -> None:
        parent = trace.get_current_span()
        sent = self._sent
        if sent.parent is not parent:
            # a deadline can pass between two statements that were to travel together: neither is
            # sent, and there is no end of the first
            sent.spans.clear()
            sent.parent = parent
        if not parent.is_recording():
            return
        told = described(text)
        name = f"{told['db.operation.name']} {self._database}"
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT)
        span.set_attributes({**self._attributes, **told})
        sent.spans.append(span)

    def _end(self, *_: Any) -> None:
        for span in self._sent.spans:
            span.end()
        self._sent.spans.clear()

    def _fail(self, context: Any) -> None:
        error = context.original_exception
        state = getattr(error, "sqlstate", None)
        for span in self._sent.spans:
            fail(span, error)
            if state is not None:
                span.set_attribute("db.response.status_code", state)
        self._end()
