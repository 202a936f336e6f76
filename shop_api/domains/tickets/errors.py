"""Why a ticket cannot be issued."""

from shop_api.kernel.errors import DomainError, ErrorKind

TICKETS_UNAVAILABLE = DomainError(
    ErrorKind.UNAVAILABLE,
    "tickets_unavailable",
    "Tickets cannot be issued at the moment. Try again shortly.",
    retry_after_seconds=1,
)
