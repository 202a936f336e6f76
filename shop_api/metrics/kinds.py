"""Counters and histograms that are cheap to count on the hot path, or take many values at once.

Belongs here: what prometheus_client's own kinds lack. Does not: which metrics there are
(definitions.py), when what waits is added (tally.py).

A value shared by processes is written to a mapped file under a lock, 1 µs each, and a request has
eight of them: as much as a third of a kept answer. So what is counted with every request waits in
the process and is added once a second.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter, Histogram

# What has been counted and not yet been added, a counter for each time.
waiting: "deque[BatchedCounter]" = deque()


class BatchedCounter(Counter):
    """A counter for what happens with every request: `inc()` by one, seen within a second."""

    def inc(self, amount: float = 1, exemplar: Any = None) -> None:
        """Count one; anything else is added at once."""
        if amount == 1:
            waiting.append(self)
        else:
            super().inc(amount, exemplar)

    def add(self, count: int) -> None:
        """Add what waited."""
        super().inc(count)


class BatchedHistogram(Histogram):
    """A histogram that also takes many observations at once."""

    def observe_all(self, amounts: list[float]) -> None:
        """Observe each of the amounts; sorts them."""
        amounts.sort()
        self._sum.inc(sum(amounts))
        before = 0
        for bound, bucket in zip(self._upper_bounds, self._buckets, strict=True):
            place = bisect_right(amounts, bound, before)
            if place > before:
                bucket.inc(place - before)
            before = place

    def observe_counted(self, counts: Mapping[int, int]) -> None:
        """Observe each amount as often as is told."""
        found = [0] * len(self._buckets)
        for amount, count in counts.items():
            found[bisect_left(self._upper_bounds, amount)] += count
        self._sum.inc(sum(amount * count for amount, count in counts.items()))
        for bucket, count in zip(self._buckets, found, strict=True):
            if count:
                bucket.inc(count)
