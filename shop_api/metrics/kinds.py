"""Counters and histograms that are cheap to count on the hot path, or take many values at once.

Belongs here: what prometheus_client's own kinds lack. Does not: which metrics there are
(definitions.py), when what waits is added (tally.py).

A value shared by processes is written to a mapped file under a lock, 1 µs each, and a request has
eight of them: as much as a third of a kept answer. So what is counted with every request waits in
the process and is added once a second.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

from prometheus_client import Counter, Histogram

# What has been counted and not yet been added, each by the counter it belongs to.
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
    """A histogram that also takes the outcome of many observations."""

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add observations: how many fell into each bucket (the last has no end), and their sum."""
        self._sum.inc(total)
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
