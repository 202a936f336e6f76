"""What webhook endpoints refuse."""

from shop_api.kernel.errors import DomainError, ErrorKind, conflict, invalid

MAX_ENDPOINTS = 32

TOO_MANY = conflict(
    "too_many_endpoints", f"A shop has at most {MAX_ENDPOINTS} webhook endpoints; delete one first."
)
PAUSED = conflict("endpoint_paused", "The endpoint is paused. Set it active first.")


def url_refused(reason: str) -> DomainError:
    """A URL that nothing is sent to."""
    return invalid("url_not_allowed", reason, "/url")


def events_refused(event_types: list[str]) -> DomainError:
    """Events that the caller may not see, and so may not have sent anywhere."""
    names = ", ".join(event_types)
    return invalid("event_not_allowed", f"Not open to this credential: {names}.", "/event_types")


def endpoint_too_strong(scopes: list[str]) -> DomainError:
    """An endpoint that is sent what the caller may not see."""
    return DomainError(
        ErrorKind.FORBIDDEN,
        "endpoint_not_allowed",
        f"The endpoint is sent what this credential may not see ({', '.join(scopes)});"
        " ask somebody who may.",
    )
