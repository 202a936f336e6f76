"""The size of what a client may send.

Belongs here: refusing by Content-Length before a byte is read. A body without a length is read
up to the limit by the idempotency stage.
"""

import re

from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Answer, Exchange, Stage

# Up to 500 events of a page's visitors, of some 300 bytes each.
TRACK_PATH = "/api/v1/track"
TRACK_LIMIT_BYTES = 524_288
IMPORT_PATHS = ("/api/v1/imports", "/api/v1/products/bulk-import")

_LENGTH = re.compile(r"[0-9]{1,18}")


class BodySize:
    """413 for a body over its limit, 400 for a length that is no number: raised by rate_limit.py,
    once the request is counted."""

    def __init__(self, forward: Stage, limit_bytes: int, import_limit_bytes: int) -> None:
        self.forward = forward
        self.limit_bytes = limit_bytes
        self.import_limit_bytes = import_limit_bytes

    def __call__(self, exchange: Exchange) -> Answer:
        length = exchange.environ.get("CONTENT_LENGTH")
        if not length and exchange.method == "GET":
            # nobody reads a body of it
            return self.forward(exchange)
        limit = self.limit(exchange.path)
        if length:
            if not _LENGTH.fullmatch(length):
                exchange.refusal = DomainError(
                    ErrorKind.MALFORMED, "invalid_content_length", "Content-Length is not a number."
                )
            elif int(length) > limit:
                exchange.refusal = body_too_large(limit)
        exchange.environ["shop_api.body_limit_bytes"] = limit
        return self.forward(exchange)

    def limit(self, path: str) -> int:
        """The limit of a path, in bytes."""
        if path == TRACK_PATH:
            return min(TRACK_LIMIT_BYTES, self.limit_bytes)
        return self.import_limit_bytes if path in IMPORT_PATHS else self.limit_bytes


def body_too_large(limit_bytes: int) -> DomainError:
    """The refusal of a body over `limit_bytes`."""
    return DomainError(
        ErrorKind.TOO_LARGE, "body_too_large", f"The body is larger than {limit_bytes} bytes."
    )
