"""That something is deprecated, as answers tell it: by Deprecation (RFC 9745), Sunset (RFC 8594)
and Link.

Belongs here: the two days and the headers made of them. Does not: what is deprecated (the versions,
api_versions.py).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime

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
        page = f'<{PAGE}#{self.anchor}>; type="text/html"'
        links = f'{page}; rel="deprecation", {page}; rel="sunset"'
        return (
            ("Deprecation", f"@{int(_start_of(self.since).timestamp())}"),
            ("Sunset", format_datetime(_start_of(self.sunset_on), usegmt=True)),
            ("Link", f'{links}, {successor}; rel="successor-version"'),
        )


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
