"""Shares of quotas that a process takes in advance, so that a hot key rarely asks Redis.

Belongs here: how much is taken in advance and how long it is good for. Does not: counting
(db/sliding_windows.py) and whose quotas a request falls under (rate_limit.py).
"""

import threading
from collections.abc import Sequence
from typing import NamedTuple

from shop_api.db.request_redis import RedisAway
from shop_api.db.sliding_windows import Share, SlidingWindows, Want
from shop_api.kernel.rate_limits import Quota
from shop_api.metrics.definitions import rate_limit_unenforced

# Taken in advance of a quota at most, by one process. It is counted when it is taken: what four
# processes hold and do not use, 4 % of the limit, is missing to others.
LEASE_RATIO = 0.01
# How long that is good for. What is used later than it is counted may go beyond the limit, but by
# no more than was taken; what is not used by then is lost.
LEASE_SECONDS = 1.0
LEASE_WINDOW_RATIO = 0.2
# A quota that is used up is not asked for again before it has something, but at least so often:
# its limit may have been raised.
MAX_WAIT_SECONDS = 1.0


class Lease:
    """What this process has of one quota of one scope."""

    __slots__ = (
        "empty_until",
        "free",
        "is_asking",
        "quota",
        "remaining",
        "scope",
        "since",
        "size",
        "until",
        "wait_seconds",
    )

    def __init__(self, scope: str, quota: Quota) -> None:
        self.scope = scope
        self.quota = quota
        self.remaining = 0
        # while this is good for use; a clock that is set back ends it
        self.since = self.until = 0.0
        # of the quota, for all processes, when it was asked last
        self.free = quota.limit
        # how much is taken at a time; it grows while that is used up before its time
        self.size = 1
        self.is_asking = False
        self.empty_until = 0.0
        # until one is free again, when it was asked last
        self.wait_seconds = 0.0

    def has_one(self, now: float) -> bool:
        """Whether a request can be served from what is here."""
        return self.remaining > 0 and self.since <= now < self.until

    def is_empty(self, now: float) -> bool:
        """Whether it is known that there is none anywhere."""
        return now < self.empty_until <= now + MAX_WAIT_SECONDS

    def ask(self, now: float) -> "Ask":
        """One for a request; of several that ask at once, the first takes more in advance."""
        if self.is_asking:
            return Ask(self, Want(self.scope, self.quota, 1), leads=False)
        self.is_asking = True
        largest = max(1, int(self.quota.limit * LEASE_RATIO))
        if self.remaining > 0 or now >= self.until:
            self.size = max(1, self.size // 2)
        elif now - self.since < (self.until - self.since) / 3:
            self.size = min(largest, self.size * 2)
        self.remaining = 0
        return Ask(self, Want(self.scope, self.quota, self.size), leads=True)


class Ask(NamedTuple):
    """What a lease is asked for in Redis; `leads` when others ask only for themselves meanwhile."""

    lease: Lease
    want: Want
    leads: bool

    def keep(self, share: Share, now: float) -> bool:
        """What came of it, one of that for the request; whether the quota is used up."""
        lease = self.lease
        lease.free = share.free
        if self.leads:
            lease.is_asking = False
            window_seconds = lease.quota.window_seconds * LEASE_WINDOW_RATIO
            lease.since, lease.until = now, now + min(LEASE_SECONDS, window_seconds)
            lease.remaining = max(0, share.taken - 1)
            # one that asked beside it may have found nothing left
            lease.empty_until = 0.0
        is_used_up = share.taken == 0 and share.free == 0
        if is_used_up and not lease.has_one(now):
            lease.empty_until = now + min(share.wait_seconds, MAX_WAIT_SECONDS)
            lease.wait_seconds = share.wait_seconds
        return is_used_up


class Leases:
    """Takes one of each quota for a request, from what is here where it can."""

    def __init__(self, windows: SlidingWindows) -> None:
        self._windows = windows
        # held for some steps of Python, never while Redis is asked
        self._lock = threading.Lock()

    def take_here(self, leases: Sequence[Lease], now: float) -> bool:
        """Take one of each of what this process has; False when one must be asked for."""
        with self._lock:
            for lease in leases:
                # as `has_one`: each call would cost as much as the rest of this
                if lease.remaining < 1 or now >= lease.until or now < lease.since:
                    return False
            for lease in leases:
                lease.remaining -= 1
            return True

    def take(self, leases: Sequence[Lease], now: float) -> Lease | None:
        """Take one of each, or none: then the first that is used up. While Redis is away nothing is
        counted and nobody refused.
        """
        with self._lock:
            asks = self._take_here(leases, now)
            if isinstance(asks, Lease):
                return asks
        if not asks:
            return None
        try:
            shares = self._windows.take([ask.want for ask in asks], now)
        except RedisAway:
            with self._lock:
                for ask in asks:
                    ask.lease.is_asking &= not ask.leads
            rate_limit_unenforced.inc()
            return None
        with self._lock:
            used_up = [
                ask.lease for ask, share in zip(asks, shares, strict=True) if ask.keep(share, now)
            ]
            if used_up:
                asked = [ask.lease for ask in asks]
                for lease in leases:
                    lease.remaining += lease not in asked
                return used_up[0]
        return None

    @staticmethod
    def _take_here(leases: Sequence[Lease], now: float) -> list[Ask] | Lease:
        """One of each that has one here; what must be asked for, or the first that is empty."""
        for lease in leases:
            if lease.is_empty(now):
                return lease
        asks = []
        for lease in leases:
            if lease.has_one(now):
                lease.remaining -= 1
            else:
                asks.append(lease.ask(now))
        return asks
