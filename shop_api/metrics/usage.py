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

# Totals that wait: as long as Postgres is away they pile up. Those of the running hour are kept
# beside them once they are written, as many as there are tenants and kinds of request in an hour.
MAX_UNWRITTEN = 100_000


class UsageKey(NamedTuple):
    """Whose requests of which kind, in the hour that begins then; ids as numbers."""

    hour: datetime
    process: int
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

    def minus(self, other: "Usage") -> "Usage":
        """What is left without the other, which is part of it."""
        return Usage(*(one - less for one, less in zip(self, other, strict=True)))


NOTHING = Usage()


class UsageCounts:
    """The totals of one process, under an id of its own."""

    def __init__(self) -> None:
        self.process_id = uuid4()
        self._lock = threading.Lock()
        # in the order in which their hours began here
        self._totals: dict[UsageKey, Usage] = {}
        # what is written of those that have grown since; those that wait longest first
        self._unwritten: dict[UsageKey, Usage] = {}
        self._hour: datetime | None = None
        self._lost_requests = 0

    def add(self, now: datetime, key: tuple[int, str, str, str], usage: Usage) -> None:
        """Add requests of a tenant, method, route and status class."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        with self._lock:
            if hour != self._hour:
                if self._hour is not None and hour < self._hour:
                    # A clock that goes back opens an hour whose totals may have been let go of:
                    # those that begin anew must not be written over them.
                    self.process_id = uuid4()
                self._hour = hour
            place = UsageKey(hour, self.process_id.int, *key)
            before = self._totals.get(place)
            if before is None:
                if len(self._unwritten) >= MAX_UNWRITTEN:
                    self._lost_requests += usage.requests
                    return
                self._totals[place] = usage
                self._unwritten[place] = NOTHING
                return
            self._totals[place] = before.plus(usage)
            self._unwritten.setdefault(place, before)

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
                    self._unwritten[place] = total

    def postpone(self, totals: Mapping[UsageKey, Usage]) -> None:
        """These totals could not be written: they are tried again behind the others."""
        with self._lock:
            for place in totals:
                before = self._unwritten.pop(place, None)
                if before is not None:
                    self._unwritten[place] = before

    def give_up(self, totals: Mapping[UsageKey, Usage]) -> int:
        """These totals can never be written: they are again what was written of them, and what
        has grown meanwhile. How many requests are lost.
        """
        lost = 0
        with self._lock:
            for place, total in totals.items():
                before = self._unwritten.pop(place)
                lost += total.requests - before.requests
                grown = self._totals[place].minus(total)
                if grown != NOTHING:
                    self._totals[place] = before.plus(grown)
                    self._unwritten[place] = before
                elif before != NOTHING:
                    self._totals[place] = before
                else:
                    del self._totals[place]
        return lost

    def let_go(self) -> None:
        """Let go of the written totals of hours that are over."""
        with self._lock:
            hour, process = self._hour, self.process_id.int
            over = takewhile(lambda p: p.hour != hour or p.process != process, self._totals)
            for place in list(over):
                if place not in self._unwritten:
                    del self._totals[place]

    def take_lost_requests(self) -> int:
        """How many requests were lost for want of room since this was asked last."""
        with self._lock:
            lost, self._lost_requests = self._lost_requests, 0
        return lost


usage = UsageCounts()
