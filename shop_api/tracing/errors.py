"""How a span tells that its work failed: by the kind of error, never by its message.

Belongs here: just that. Does not: telling of it in the log, or to the client.
"""

from opentelemetry.trace import Span, StatusCode


def fail(span: Span, error: BaseException) -> None:
    """Mark the span as failed by an error."""
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(StatusCode.ERROR)
