"""The timezone a rollup's days are of.

Belongs here: whether there is such a zone. Does not: what it is (analytics/periods.py).
"""

from analytics.contracts import DAILY_SALES
from analytics.periods import BadParameter, find_zone
from pipelines.checks.failure import CheckFailedError


def check_timezone(timezone: str) -> None:
    """Refuse to make days of a zone that is not known."""
    try:
        find_zone(timezone)
    except BadParameter as error:
        raise CheckFailedError(
            DAILY_SALES.name, "the tenant's timezone is known", 1, [{"timezone": timezone}]
        ) from error
