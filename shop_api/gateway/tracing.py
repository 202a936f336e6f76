"""A span per request, which goes on the trace its client began (W3C `traceparent`).

Belongs here: what a request's span tells. Does not: sending spans (shop_api/tracing), and spans of
what the request asks of the stores. The stage stands in the pipeline only where requests are
traced, and this file is imported only there. A span tells the route and never the path, which may
hold anything.
"""

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shop_api.gateway.rate_limit import UNCOUNTED
from shop_api.kernel.exchange import OTHER_METHOD, Answer, Exchange, Stage
from shop_api.tracing.errors import fail

HEADERS = {"traceparent": "HTTP_TRACEPARENT", "tracestate": "HTTP_TRACESTATE"}
SERVER_ERROR = 500
# what OpenTelemetry calls a method that is none of the known ones
UNKNOWN_METHOD = "_OTHER"

_propagator = TraceContextTextMapPropagator()


class Tracing:
    """Traces every request but those of probes and scrapers."""

    def __init__(self, forward: Stage, tracer: Tracer) -> None:
        self.forward = forward
        self.tracer = tracer

    def __call__(self, exchange: Exchange) -> Answer:
        if exchange.path.startswith(UNCOUNTED):
            return self.forward(exchange)
        environ = exchange.environ
        given = {name: environ[key] for name, key in HEADERS.items() if key in environ}
        method = UNKNOWN_METHOD if exchange.method == OTHER_METHOD else exchange.method
        span = self.tracer.start_span(
            method,
            _propagator.extract(given, Context()),
            SpanKind.SERVER,
            {"http.request.method": method, "shop.request_id": exchange.request_id},
        )
        exchange.trace_id = format_trace_id(span.get_span_context().trace_id)
        with trace.use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            # the requests of a batch are below it
            handed_on: dict[str, str] = {}
            _propagator.inject(handed_on)
            environ |= {HEADERS[name]: value for name, value in handed_on.items()}
            try:
                answer = self.forward(exchange)
            except BaseException as error:
                fail(span, error)
                raise
            _describe(span, method, exchange, answer)
        return answer


def _describe(span: Span, method: str, exchange: Exchange, answer: Answer) -> None:
    if not span.is_recording():
        return
    name = "HTTP" if method == UNKNOWN_METHOD else method
    if exchange.route is not None:
        name = f"{name} {exchange.route}"
        span.set_attribute("http.route", exchange.route)
    span.update_name(name)
    span.set_attribute("http.response.status_code", answer.status)
    if exchange.principal is not None:
        span.set_attribute("shop.tenant_id", str(exchange.principal.tenant_id))
    if exchange.cache_status is not None:
        span.set_attribute("shop.cache_status", exchange.cache_status)
    if answer.status >= SERVER_ERROR:
        span.set_attribute("error.type", str(answer.status))
        span.set_status(StatusCode.ERROR)
