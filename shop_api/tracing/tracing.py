"""The tracing of one process: what is sampled, where spans go, and what is watched.

Belongs here: the provider from start to end, spans of queries and jobs. Does not: the statements of
an engine (statements.py), Redis (commands.py), requests (gateway/tracing.py). No span holds an
exception's message: it can quote the values of a statement.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import redis
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind
from sqlalchemy import Engine

from shop_api.tracing.commands import watch_commands
from shop_api.tracing.errors import fail
from shop_api.tracing.statements import StatementSpans
from shop_api.tracing.texts import described

# A batch that is not taken within this is lost; the spans that come meanwhile wait in a queue of
# 2 048 (OTEL_BSP_MAX_QUEUE_SIZE), and beyond it the oldest are.
EXPORT_SECONDS = 5.0
# What is left of a process's grace goes to its requests: a collector that hangs gets this at most.
FLUSH_SECONDS = 2.0


class Tracing:
    """Makes spans and sends them from a thread of its own; requests never wait for it."""

    def __init__(self, endpoint: str, sample_ratio: float, process: str) -> None:
        resource = Resource.create(
            {"service.name": f"shop-{process}", "service.version": version("shop-api")}
        )
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
            # an operator's OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win
            resource=resource.merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self.tracer = self._provider.get_tracer("shop_api")

    def watch_engine(self, engine: Engine) -> None:
        """Trace the engine's statements, each below what the thread that sends it works on."""
        StatementSpans(self.tracer, engine)

    def watch_redis(self, client: redis.Redis) -> None:
        """Trace the client's commands and pipelines, likewise."""
        watch_commands(self.tracer, client)

    @contextmanager
    def query(self, statement: str) -> Iterator[None]:
        """A query of the lake, by its text; values are bound and not in it."""
        if not trace.get_current_span().is_recording():
            yield
            return
        attributes = {"db.system.name": "duckdb", **described(statement)}
        with self._work("SELECT lake", SpanKind.CLIENT, attributes):
            yield

    @contextmanager
    def job(self, name: str) -> Iterator[None]:
        """A run of a scheduled job: the root of a trace of its own."""
        with self._work(f"job {name}", SpanKind.INTERNAL, {"shop.job": name}):
            yield

    @contextmanager
    def _work(self, name: str, kind: SpanKind, attributes: dict[str, str]) -> Iterator[None]:
        with self.tracer.start_as_current_span(
            name,
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                fail(span, error)
                raise

    def close(self) -> None:
        """Send what waits, for as long as that may take."""
        ending = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        ending.start()
        ending.join(FLUSH_SECONDS)
