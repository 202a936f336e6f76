"""What each tenant asked of this process, by hour: totals that only grow.

Belongs here: adding up, and which totals have been written. Does not: counting requests (tally.py),
writing (spine/usage.py). An hour's totals are let go of once it is over and they are written; a
request counts in the hour in which it is added, at most a second after its answer. Who adds waits
for the lock: nothing is done under it for each total that is kept.
"""

import threading
from collections.abc import Mapping
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple
from uuid import uuid4

# As long as Postgres is away they pile up.
MAX_KEPT = 100_000


class UsageKey(NamedTuple):
    """Whose requests of which kind, in the hour that begins then."""

    hour: datetime
    tenant: int
    method: str
    route: str
    status_class: str


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
        # of an hour that is over before those of the next
        self._totals: dict[UsageKey, Usage] = {}
        # those that wait longest first
        self._unwritten: dict[UsageKey, None] = {}
        self._hour: datetime | None = None
        self._lost_requests = 0

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
                self._lost_requests += usage.requests
                return
            self._totals[place] = usage if before is None else before.plus(usage)
            self._unwritten.setdefault(place)

    def unwritten(self) -> dict[UsageKey, Usage]:
        """The totals that have grown since they were written, those that wait longest first."""
        with self._lock:
            places = list(self._unwritten)
        # only who writes lets go of totals, and they are added to as a whole
        return {place: self._totals[place] for place in places}

    def written(self, totals: Mapping[UsageKey, Usage]) -> None:
        """These totals are written; what has grown meanwhile is to be written again, last."""
        with self._lock:
            for place, total in totals.items():
                self._unwritten.pop(place, None)
                if self._totals[place] != total:
                    self._unwritten[place] = None

    def postpone(self, totals: Mapping[UsageKey, Usage]) -> None:
        """These totals could not be written: they are tried again behind the others."""
        with self._lock:
            for place in totals:
                self._unwritten.pop(place, None)
                self._unwritten[place] = None

    def let_go(self) -> None:
        """Let go of the written totals of hours that are over."""
        with self._lock:
            hour = self._hour
            for place in list(takewhile(lambda place: place.hour != hour, self._totals)):
                if place not in self._unwritten:
                    del self._totals[place]

    def lose(self, requests: int) -> None:
        """These cannot be written any more."""
        with self._lock:
            self._lost_requests += requests

    def take_lost_requests(self) -> int:
        """How many requests were lost, for want of room or for good, since this was asked last."""
        with self._lock:
            lost, self._lost_requests = self._lost_requests, 0
        return lost


usage = UsageCounts()
