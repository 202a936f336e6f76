"""CORS: explicit lists of browser origins, never `*`.

Belongs here: preflights and the headers that let a page read an answer. Does not: the lists, which
are the installation's (a setting) and the tenant's own. A preflight has no credential, so it is
answered for an origin that any tenant lists; the answer itself can be read only by a page of an
origin that its own tenant lists. Neither is counted by any quota: what strangers ask of origins is
answered from a list in memory.
"""

from collections.abc import Callable

from shop_api.gateway.kept_answers import METHOD
from shop_api.kernel.exchange import Answer, Exchange, Header, Stage

EXPOSED = (
    "X-Request-ID, ETag, RateLimit, RateLimit-Policy, Retry-After, Idempotency-Replayed, Link,"
    " Location, X-Read-Position, Shop-Version, Deprecation, Sunset"
)
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-ID,"
    " X-Read-Position, Last-Event-ID"
)
PREFLIGHT = [
    ("Access-Control-Allow-Methods", METHODS),
    ("Access-Control-Allow-Headers", HEADERS),
    # seconds
    ("Access-Control-Max-Age", "600"),
]
MAX_ORIGIN_LENGTH = 255

# Whether some tenant lists the origin.
KnownOrigin = Callable[[str], bool]


class Cors:
    """Answers preflights and marks answers to allowed origins."""

    def __init__(
        self, forward: Stage, origins: frozenset[str], is_known_origin: KnownOrigin
    ) -> None:
        self.forward = forward
        self.origins = origins
        self.is_known_origin = is_known_origin

    def __call__(self, exchange: Exchange) -> Answer:
        origin = exchange.environ.get("HTTP_ORIGIN")
        if (
            origin is not None
            and exchange.method == "OPTIONS"
            and exchange.header("ACCESS_CONTROL_REQUEST_METHOD")
        ):
            answer = Answer(204, [METHOD], b"")
            if self._is_allowed(origin, exchange):
                answer.headers += PREFLIGHT
                exchange.answer_headers += _readable_by(origin)
        else:
            answer = self.forward(exchange)
            if origin is not None and self._is_allowed(origin, exchange):
                # the answer's own headers may be those of a kept one
                exchange.answer_headers += _readable_by(origin)
        return answer

    def _is_allowed(self, origin: str, exchange: Exchange) -> bool:
        if origin in self.origins:
            return True
        if not origin.isascii() or len(origin) > MAX_ORIGIN_LENGTH:
            return False
        principal = exchange.principal
        return self.is_known_origin(origin) if principal is None else origin in principal.origins


def _readable_by(origin: str) -> tuple[Header, ...]:
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", EXPOSED),
    )
