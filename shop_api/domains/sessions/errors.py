"""What sessions refuse."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from shop_api.kernel.errors import DomainError, FieldError, conflict, invalid

# Orders named in one answer; the first are as telling as all.
MAX_NAMED = 20

SESSION_NOT_FOUND = invalid("session_not_found", "The session does not exist.", "/session_id")
SESSION_CLOSED = conflict("session_closed", "The session is closed: open another one.")
CHANNEL_OF_SESSION = invalid(
    "channel_of_session", "An order at a session is of the session's channel.", "/channel"
)

CONSTRAINTS = {
    "uq_sessions_open": conflict(
        "session_open", "A session of this kind and name is open: close it first."
    ),
    "fk_sessions_tenant_id_location_id": invalid(
        "location_not_found", "The location does not exist.", "/location_id"
    ),
}


def not_settled(orders: Sequence[Row[Any]]) -> DomainError:
    """Orders at the session are neither paid nor cancelled."""
    numbers = ", ".join(str(order.number) for order in orders[:MAX_NAMED])
    error = conflict("session_not_settled", f"Orders are to be paid or cancelled first: {numbers}.")
    error.errors = [
        FieldError(
            f"/orders/{order.id}",
            f"Order {order.number} is {order.status} and {order.payment_status}.",
        )
        for order in orders[:MAX_NAMED]
    ]
    return error
