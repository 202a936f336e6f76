"""What an attempt at a delivery came to.

Belongs here: the value, known to all sides of webhooks. Does not: making an attempt (transport.py),
which needs libraries that the api has no use for.
"""

from dataclasses import dataclass, field

DELIVERED = "delivered"
REFUSED = "refused"
TIMED_OUT = "timed_out"
UNREACHABLE = "unreachable"
FORBIDDEN = "forbidden_address"
OUTCOMES = (DELIVERED, REFUSED, TIMED_OUT, UNREACHABLE, FORBIDDEN)


@dataclass(frozen=True, slots=True)
class Attempted:
    """What an attempt came to."""

    outcome: str
    duration_seconds: float
    # of the answer, if there was one
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str | None = None
    retry_after: str | None = None
    # in words for the merchant, where there was no answer
    error: str | None = None
