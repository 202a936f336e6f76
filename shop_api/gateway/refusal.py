"""A refusal as an answer: the problem body every stage and Flask answer with.

Belongs here: DomainError → Answer, and the refusal for want of a place, which is counted. Does not:
raising them.
"""

from urllib.parse import quote

from shop_api.gateway.kept_answers import CACHE_STATUS, METHOD
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Answer, Exchange, Header
from shop_api.kernel.problem import STATUS, problem_body, problem_headers
from shop_api.metrics.definitions import server_busy_refusals

# what stands in a path as it is (RFC 3986)
PATH_SAFE = "/:@!$&'()*+,;=~-._"
# Refused for its length, a path is not given back three times as long.
MAX_PATH_LENGTH = 1024

INTERNAL_ERROR = DomainError(
    ErrorKind.INTERNAL,
    "internal_error",
    "Something went wrong on our side. Quote the request_id when you report it.",
)


def refuse(error: DomainError, exchange: Exchange) -> Answer:
    """The problem answer of an error."""
    # WSGI gives the path as latin-1: `instance` is the URI reference it came as
    instance = quote(exchange.path[:MAX_PATH_LENGTH].encode("latin-1"), safe=PATH_SAFE)
    body = problem_body(error, exchange.request_id, instance)
    headers = [
        *problem_headers(error),
        ("Content-Length", str(len(body))),
        _cache_status(exchange),
    ]
    return Answer(STATUS[error.kind].value, headers, body)


def server_busy(place: str, detail: str, code: str = "server_busy") -> DomainError:
    """503: no place is left (one of metrics' PLACES)."""
    server_busy_refusals.labels(place).inc()
    return DomainError(
        ErrorKind.UNAVAILABLE,
        code,
        f"{detail} Try again shortly.",
        retry_after_seconds=1,
    )


def _cache_status(exchange: Exchange) -> Header:
    """A problem was made now, for this request; it was looked up before where it might be kept."""
    if exchange.method != "GET":
        return METHOD
    is_miss = exchange.cache_slot is not None or exchange.cache_status == "miss"
    reason = "miss" if is_miss else "bypass"
    return (CACHE_STATUS, f"shop-api; fwd={reason}")
