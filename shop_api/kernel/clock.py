"""Time: the one place that reads the clock, and the one way to write an instant.

Belongs here: instants. Does not: days, periods and zones (analytics/periods.py).
"""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def utc_now() -> datetime:
    """The present instant, aware, in UTC. Called at the edges; below them `now` is an argument."""
    return datetime.now(UTC)


def microseconds(instant: datetime) -> int:
    """An aware instant as whole microseconds since 1970, in UTC."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(number: int) -> datetime:
    """The instant so many microseconds after the beginning of 1970."""
    return _EPOCH + number * _MICROSECOND


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds: 2026-01-31T12:00:00.000000Z."""
    # not strftime, whose year 999 is of three digits
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
