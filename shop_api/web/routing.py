"""What Werkzeug does with a path: ids in it, and its own refusals in the form of all others.

Belongs here: converters and the mapping of HTTP exceptions. Does not: routes (blueprint.py).
"""

from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.ids import parse_id

HTTP_ERRORS = {
    400: (ErrorKind.MALFORMED, "bad_request", "The request could not be read."),
    404: (ErrorKind.NOT_FOUND, "route_not_found", "No such path. See /api/docs."),
    405: (
        ErrorKind.NOT_ALLOWED,
        "method_not_allowed",
        "This path does not take that method; `Allow` names those it takes.",
    ),
    413: (ErrorKind.TOO_LARGE, "body_too_large", "The body is too large."),
    415: (
        ErrorKind.UNSUPPORTED_MEDIA,
        "unsupported_media_type",
        "Send the body as JSON, with Content-Type: application/json.",
    ),
}


class InvalidId(HTTPException):
    """A path segment that should be an id and is not."""

    code = 400


class IdConverter(BaseConverter):
    """`<id:name>`: a canonical UUID; anything else is 400 `invalid_id`, before any query."""

    # bulk-update and its like stand where an id would, for methods of their own
    regex = "(?!bulk-)[^/]+"

    def to_python(self, value: str) -> Any:
        parsed = parse_id(value)
        if parsed is None:
            raise InvalidId
        return parsed

    def to_url(self, value: Any) -> str:
        return str(value)


def raise_problem(error: HTTPException) -> Any:
    """Werkzeug's own refusals in the form of all others."""
    if isinstance(error, InvalidId):
        raise DomainError(
            ErrorKind.MALFORMED, "invalid_id", "The path holds an id that is not a canonical UUID."
        ) from error
    if error.code is not None and error.code < 400:
        return error
    kind, code, detail = HTTP_ERRORS.get(
        error.code or 500, (ErrorKind.MALFORMED, "bad_request", "The request could not be read.")
    )
    allowed = sorted(error.valid_methods or []) if isinstance(error, MethodNotAllowed) else []
    raise DomainError(kind, code, detail, allowed_methods=allowed) from error
