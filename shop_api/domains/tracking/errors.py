"""Why storefront events cannot be taken in."""

from shop_api.kernel.errors import DomainError, ErrorKind, invalid

# The lake takes them every minute.
FULL_RETRY_SECONDS = 30
AWAY_RETRY_SECONDS = 2

STREAM_FULL = DomainError(
    ErrorKind.UNAVAILABLE,
    "traffic_stream_full",
    "Too many events wait to be counted. None of these was taken in: send them again later.",
    retry_after_seconds=FULL_RETRY_SECONDS,
)
STREAM_AWAY = DomainError(
    ErrorKind.UNAVAILABLE,
    "traffic_unavailable",
    "Events cannot be taken in at the moment. None of these was: send them again shortly.",
    retry_after_seconds=AWAY_RETRY_SECONDS,
)


def incomplete(place: int, name: str) -> DomainError:
    """An event without what its kind needs."""
    detail = f"An event of this kind needs `{name}`."
    return invalid("event_incomplete", detail, f"/events/{place}/{name}")
