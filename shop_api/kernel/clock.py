"""Time: the one place that reads the clock, and the one way to write an instant.

Belongs here: instants. Does not: days, periods and zones (analytics/periods.py).
"""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present instant, aware, in UTC. Called at the edges; below them `now` is an argument."""
    return datetime.now(UTC)


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds: 2026-01-31T12:00:00.000000Z."""
    # not strftime, whose year 999 is of three digits
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
