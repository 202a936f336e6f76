"""A span for each command and each pipeline sent to Redis, by name: no key and no value.

Belongs here: wrapping a client. Does not: what is asked of Redis. OpenTelemetry's instrumentor
would do, but for the messages of errors that it records, and spans of what no request asked for.
"""

from collections.abc import Iterator
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


class _TracedPipeline(Pipeline):
    def __init__(self, spans: _CommandSpans, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._spans = spans

    def execute(self, *arguments: Any, **options: Any) -> list[Any]:
        size = len(self.command_stack)
        with self._spans.of("PIPELINE", **{"db.operation.batch.size": size}):
            return super().execute(*arguments, **options)


class _TracedRedis(redis.Redis):
    spans: _CommandSpans

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        operation = str(arguments[0])
        # which script, by its digest
        script = {"db.stored_procedure.name": arguments[1]} if operation == "EVALSHA" else {}
        with self.spans.of(operation, **script):
            return super().execute_command(*arguments, **options)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        return _TracedPipeline(
            self.spans, self.connection_pool, self.response_callbacks, transaction, shard_hint
        )


def watch_commands(tracer: Tracer, client: redis.Redis) -> None:
    """Have the client's commands and pipelines traced."""
    # By its class: a method of its own put on the client would hold the client, and with it the
    # connection of a thread that has ended, until the garbage collector looks at everything.
    client.__class__ = _TracedRedis
    assert isinstance(client, _TracedRedis)
    client.spans = _CommandSpans(tracer, client)
