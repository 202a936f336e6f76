"""Plans and what each may ask for, as values.

Belongs here: quotas and the plans' figures. Does not: counting (db/sliding_windows.py), which quota
a request falls under (gateway/rate_limit.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

MINUTE_SECONDS = 60
BURST_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` requests in any `window_seconds`; `name` is what clients read."""

    name: str
    limit: int
    window_seconds: int


class PlanLimits(NamedTuple):
    """What a tenant may ask for: in a minute, but `burst` in a second, `subscriptions` at once."""

    requests: int
    burst: int
    analytics: int
    graphql: int
    mutations: int
    subscriptions: int


PLAN_LIMITS: dict[str, PlanLimits] = {
    "free": PlanLimits(100, 20, 60, 30, 15, 3),
    "basic": PlanLimits(1_000, 100, 500, 60, 30, 10),
    "pro": PlanLimits(5_000, 500, 2_500, 300, 150, 50),
    "enterprise": PlanLimits(50_000, 5_000, 25_000, 3_000, 1_500, 500),
}
PLANS = tuple(PLAN_LIMITS)


def limits_of(plan: str, overrides: Mapping[str, int]) -> PlanLimits:
    """The plan's limits, but for those a tenant has of its own; equal ones are one object."""
    return _limits_of(plan, tuple(sorted(overrides.items())))


@lru_cache(maxsize=1024)
def _limits_of(plan: str, overrides: tuple[tuple[str, int], ...]) -> PlanLimits:
    return PLAN_LIMITS[plan]._replace(**dict(overrides))
