"""Conditional reads: If-None-Match → 304 without a body."""

from shop_api.kernel.etag import matching_tag
from shop_api.kernel.exchange import Answer, Exchange, Stage

# The policy is among them: a browser takes a 304's for the page it shows again.
KEPT = frozenset(
    {
        "cache-control",
        "cache-status",
        "content-location",
        "content-security-policy",
        "link",
        "shop-version",
        "vary",
    }
)


class Conditional:
    """Turns a 200 the client already has into a 304."""

    def __init__(self, forward: Stage) -> None:
        self.forward = forward

    def __call__(self, exchange: Exchange) -> Answer:
        answer = self.forward(exchange)
        header = exchange.environ.get("HTTP_IF_NONE_MATCH")
        if header is None or answer.status != 200 or exchange.method not in ("GET", "HEAD"):
            return answer
        etag = answer.header("ETag")
        known = matching_tag(header, etag) if etag is not None else None
        if known is None:
            return answer
        kept = [(name, value) for name, value in answer.headers if name.lower() in KEPT]
        return Answer(304, [*kept, ("ETag", known), ("Vary", "Accept-Encoding")], b"")
