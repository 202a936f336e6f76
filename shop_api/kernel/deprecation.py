"""That something is deprecated, as answers tell it: by Deprecation (RFC 9745), Sunset (RFC 8594)
and Link.

Belongs here: the two days and the headers made of them. Does not: what is deprecated (the versions,
api_versions.py).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from functools import cache

# where every deprecation is explained
PAGE = "/api/docs/versions"


@dataclass(frozen=True, slots=True)
class Deprecation:
    """Deprecated since one day (UTC), answered at least until another begins."""

    since: date
    sunset_on: date
    # of the page, the part that says what to do instead
    anchor: str

    def headers(self, successor: str) -> tuple[tuple[str, str], ...]:
        """What an answer carries; `successor` is the link of what is to be used instead."""
        since, sunset, links = _told(self)
        return since, sunset, ("Link", f'{links}, {successor}; rel="successor-version"')


@cache
def _told(deprecation: Deprecation) -> tuple[tuple[str, str], tuple[str, str], str]:
    """The headers that are the same in all answers, and the links that are."""
    page = f'<{PAGE}#{deprecation.anchor}>; type="text/html"'
    return (
        ("Deprecation", f"@{int(_start_of(deprecation.since).timestamp())}"),
        ("Sunset", format_datetime(_start_of(deprecation.sunset_on), usegmt=True)),
        f'{page}; rel="deprecation", {page}; rel="sunset"',
    )


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
