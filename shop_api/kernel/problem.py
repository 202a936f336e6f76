"""Problem details (RFC 9457): one refusal as the bytes a client reads.

Belongs here: the status of each kind of error and the body's shape, shared by the gateway and
Flask.
"""

import json
from http import HTTPStatus

from shop_api.kernel.errors import DomainError, ErrorKind

CONTENT_TYPE = "application/problem+json"

STATUS: dict[ErrorKind, HTTPStatus] = {
    ErrorKind.MALFORMED: HTTPStatus.BAD_REQUEST,
    ErrorKind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorKind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorKind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    ErrorKind.NOT_ACCEPTABLE: HTTPStatus.NOT_ACCEPTABLE,
    ErrorKind.TIMED_OUT: HTTPStatus.REQUEST_TIMEOUT,
    ErrorKind.CONFLICT: HTTPStatus.CONFLICT,
    ErrorKind.PRECONDITION_FAILED: HTTPStatus.PRECONDITION_FAILED,
    ErrorKind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorKind.URL_TOO_LONG: HTTPStatus.REQUEST_URI_TOO_LONG,
    ErrorKind.UNSUPPORTED_MEDIA: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ErrorKind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorKind.PRECONDITION_REQUIRED: HTTPStatus.PRECONDITION_REQUIRED,
    ErrorKind.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorKind.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorKind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


def problem_body(error: DomainError, request_id: str, instance: str) -> bytes:
    """The JSON body: type, title, status, detail, instance, code, request_id and errors, if any."""
    status = STATUS[error.kind]
    body: dict[str, object] = {
        "type": f"urn:shop-api:problem:{error.code}",
        "title": status.phrase,
        "status": status.value,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
        "request_id": request_id,
    }
    if error.errors:
        body["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in error.errors]
    return json.dumps(body, ensure_ascii=False).encode()


def problem_headers(error: DomainError) -> list[tuple[str, str]]:
    """The headers a problem carries beside its content type."""
    headers = [("Content-Type", CONTENT_TYPE)]
    if error.kind is ErrorKind.NOT_ACCEPTABLE:
        headers.append(("Vary", "Accept"))
    if error.kind is ErrorKind.UNAUTHENTICATED:
        headers.append(("WWW-Authenticate", 'Bearer realm="shop-api"'))
    if error.retry_after_seconds is not None:
        headers.append(("Retry-After", str(error.retry_after_seconds)))
    if error.allowed_methods:
        headers.append(("Allow", ", ".join(error.allowed_methods)))
    return headers
