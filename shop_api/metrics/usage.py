"""What each tenant asked of this process, by hour: totals that only grow.

Belongs here: adding up, and which totals have been written. Does not: counting requests (tally.py),
writing (spine/usage.py). An hour's totals are let go of once it is over and all of them are
written; a request counts in the hour in which it is added, at most a second after its answer.
"""

import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

# As long as Postgres is away they pile up.
MAX_KEPT = 100_000

logger = logging.getLogger(__name__)


class UsageKey(NamedTuple):
    """Whose requests of which kind, in the hour that begins then."""

    hour: datetime
    tenant: int
    method: str
    route: str
    status_class: str

    @property
    def tenant_id(self) -> UUID:
        return UUID(int=self.tenant)


class Usage(NamedTuple):
    """Requests, as sums."""

    requests: int = 0
    # answered 429
    refusals: int = 0
    cache_hits: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    duration_microseconds: int = 0

    def plus(self, other: "Usage") -> "Usage":
        """Both together."""
        return Usage(*(one + more for one, more in zip(self, other, strict=True)))


class UsageCounts:
    """The totals of one process, under an id of its own."""

    def __init__(self) -> None:
        self.process_id = uuid4()
        self._lock = threading.Lock()
        self._totals: dict[UsageKey, Usage] = {}
        self._unwritten: set[UsageKey] = set()
        self._hour: datetime | None = None

    def add(self, now: datetime, key: tuple[int, str, str, str], usage: Usage) -> None:
        """Add requests of a tenant, method, route and status class."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        with self._lock:
            # a clock that goes back must not open an hour that was let go of
            if self._hour is None or hour > self._hour:
                self._hour = hour
            place = UsageKey(self._hour, *key)
            before = self._totals.get(place)
            if before is None and len(self._totals) >= MAX_KEPT:
                logger.error("usage is lost: %s totals wait to be written", MAX_KEPT)
                return
            self._totals[place] = usage if before is None else before.plus(usage)
            self._unwritten.add(place)

    def unwritten(self) -> dict[UsageKey, Usage]:
        """The totals that have grown since they were written, as they are now."""
        with self._lock:
            return {place: self._totals[place] for place in self._unwritten}

    def written(self, totals: Mapping[UsageKey, Usage]) -> None:
        """These totals are written; what has grown meanwhile is to be written again."""
        with self._lock:
            for place, total in totals.items():
                if self._totals.get(place) == total:
                    self._unwritten.discard(place)
            over = [p for p in self._totals if p.hour != self._hour and p not in self._unwritten]
            for place in over:
                del self._totals[place]


usage = UsageCounts()
