"""When a delivery is tried again, and when an endpoint is given up; pure.

Belongs here: the numbers and the rules. Does not: keeping count (queue.py).
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# From one attempt to the next; together 23.7 hours.
DELAYS_SECONDS = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800)
# Of a delay, at random: what failed together is not tried again together. Never longer, so that the
# last attempt is within a day.
JITTER_RATIO = 0.2
LIFETIME = timedelta(hours=24)

# What a receiver may ask for with Retry-After, for all that waits for it.
MAX_WAIT = timedelta(hours=1)
DEFAULT_WAIT = timedelta(seconds=30)

# An endpoint is paused when so many attempts failed, one after the other, over so long a time: a
# receiver that is down for a deployment, or a night, is not.
FAILURES_TO_PAUSE = 50
FAILING_TO_PAUSE = timedelta(hours=12)


def next_attempt(
    failed_attempts: int, now: datetime, expires_at: datetime, chance: float
) -> datetime | None:
    """When to try again after so many failures in a row; None: give up. `chance` is 0 to 1."""
    if failed_attempts > len(DELAYS_SECONDS):
        return None
    delay = DELAYS_SECONDS[failed_attempts - 1] * (1 - JITTER_RATIO * chance)
    at = now + timedelta(seconds=delay)
    return at if at < expires_at else None


def asked_to_wait(header: str | None, now: datetime) -> datetime:
    """Until when a receiver that answers 429 or 503 wants to be left alone, within bounds."""
    wait = DEFAULT_WAIT if header is None else _parsed(header.strip(), now)
    return now + min(max(wait, timedelta(seconds=1)), MAX_WAIT)


def _parsed(header: str, now: datetime) -> timedelta:
    """Seconds, or a date (RFC 9110)."""
    if header.isdecimal() and header.isascii():
        return timedelta(seconds=min(int(header[:9]), MAX_WAIT.total_seconds()))
    try:
        at = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        # a year of more digits than a C integer holds overflows
        return DEFAULT_WAIT
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now


def is_given_up(
    failures: int, failing_since: datetime | None, now: datetime, *, lost_one: bool
) -> bool:
    """Whether an endpoint is to be paused after failures in a row since an instant.

    A delivery that was given up pauses it when nothing got through for an hour: one event that a
    receiver chokes on does not stop the others.
    """
    if failing_since is None:
        return False
    age = now - failing_since
    if lost_one and age >= timedelta(hours=1):
        return True
    return failures >= FAILURES_TO_PAUSE and age >= FAILING_TO_PAUSE
