"""What an endpoint answers: bytes of JSON, a status, a version for the ETag.

Belongs here: making Flask responses from them. Does not: conditional requests and compression
(gateway).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from flask import Response

from shop_api.kernel.etag import make_etag

JSON = "application/json"

# decimals as JSON numbers with exactly their digits; instants in UTC
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(slots=True)
class Reply:
    """An answer before it becomes a response."""

    body: bytes
    status: int = 200
    version: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = JSON
    # kept under the request's idempotency key
    is_stored: bool = True
    # made of answers to requests that have keys of their own
    is_composed: bool = False
    # in place of the body, a part at a time; it must be the same for the same version
    parts: Iterator[bytes] | None = None
    # the body is that of the unit of work's numbered row, known once it is committed
    is_numbered: bool = False

    @classmethod
    def of(cls, value: Any, status: int = 200, version: int = 0) -> "Reply":
        """Any plain value as JSON."""
        return cls(_encoder.encode(value), status, version)

    @classmethod
    def resource(cls, row: Any, status: int = 200) -> "Reply":
        """A resource row: `.version` and `.body` (JSON text made by Postgres)."""
        return cls(row.body.encode(), status, row.version)

    @classmethod
    def created(cls, row: Any, collection: str) -> "Reply":
        """201 with the Location of a new resource row, which has `.id`."""
        reply = cls.resource(row, 201)
        reply.headers.append(("Location", f"{collection}/{row.id}"))
        return reply

    @classmethod
    def numbered(cls, row_id: UUID, collection: str) -> "Reply":
        """201 with the Location of the unit of work's numbered row, written at its end."""
        return cls(b"", 201, headers=[("Location", f"{collection}/{row_id}")], is_numbered=True)

    @classmethod
    def empty(cls) -> "Reply":
        """204, no body."""
        return cls(b"", 204)

    def all_headers(self) -> list[tuple[str, str]]:
        """The headers with content type and ETag; no tag before there is a body."""
        headers = list(self.headers)
        if self.status != 204:
            headers.append(("Content-Type", self.content_type))
        if self.status != 204 and not self.is_numbered:
            tagged = self.body if self.parts is None else self.content_type.encode()
            headers.append(("ETag", make_etag(tagged, self.version)))
        return headers


def to_response(
    status: int, headers: list[tuple[str, str]], body: bytes | Iterator[bytes]
) -> Response:
    """A Flask response of exactly these bytes."""
    response = Response(body, status=status)
    response.headers.clear()
    for name, value in headers:
        response.headers.add(name, value)
    if status != 204 and isinstance(body, bytes):
        response.headers["Content-Length"] = str(len(body))
    return response
