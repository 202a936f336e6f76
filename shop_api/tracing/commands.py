"""A span for each command and each pipeline sent to Redis, by name: no key and no value.

Belongs here: wrapping a client. Does not: what is asked of Redis. OpenTelemetry's instrumentor
would do, but for the messages of errors that it records, and spans of what no request asked for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Tracer
from redis.client import Pipeline

from shop_api.tracing.errors import fail


class _CommandSpans:
    def __init__(self, tracer: Tracer, client: redis.Redis) -> None:
        self._tracer = tracer
        options = client.connection_pool.connection_kwargs
        self._attributes: dict[str, str | int] = {
            "db.system.name": "redis",
            "db.namespace": str(options.get("db") or 0),
            "server.address": options.get("path") or options.get("host", "localhost"),
        }
        if "port" in options:
            self._attributes["server.port"] = options["port"]

    @contextmanager
    def of(self, operation: str, **attributes: str | int) -> Iterator[None]:
        """The span of an operation, if what the thread works on is traced."""
        if not trace.get_current_span().is_recording():
            yield
            return
        span = self._tracer.start_span(operation, kind=SpanKind.CLIENT)
        span.set_attributes({**self._attributes, "db.operation.name": operation, **attributes})
        try:
            yield
        except BaseException as error:
            fail(span, error)
            raise
        finally:
            span.end()


def watch_commands(tracer: Tracer, client: redis.Redis) -> None:
    """Have the client's commands and pipelines traced."""
    spans = _CommandSpans(tracer, client)
    make_pipeline: Callable[..., Pipeline] = client.pipeline
    execute: Callable[..., Any] = client.execute_command

    def execute_command(*arguments: Any, **options: Any) -> Any:
        operation = str(arguments[0])
        # which script, by its digest
        script = {"db.stored_procedure.name": arguments[1]} if operation == "EVALSHA" else {}
        with spans.of(operation, **script):
            return execute(*arguments, **options)

    def pipeline(*arguments: Any, **options: Any) -> Pipeline:
        made = make_pipeline(*arguments, **options)
        send: Callable[..., Any] = made.execute

        def execute_together(*arguments: Any, **options: Any) -> Any:
            size = len(made.command_stack)
            with spans.of("PIPELINE", **{"db.operation.batch.size": size}):
                return send(*arguments, **options)

        made.execute = execute_together  # type: ignore[method-assign]
        return made

    client.execute_command = execute_command  # type: ignore[method-assign]
    client.pipeline = pipeline  # type: ignore[method-assign]
