"""Places for requests of one class: how many run at once, and how long another one waits.

Belongs here: counting and waiting. Does not: which requests share places (bulkhead.py).
"""

import threading
import time


class Places:
    """`limit` requests at once; `waiting_limit` more wait for a moment, each in its thread.

    While no place was given back for that moment nobody waits at all: what holds the places takes
    long, and a thread that waits for it is one less for everybody else.
    """

    __slots__ = (
        "_freed",
        "_lock",
        "_taken_at",
        "limit",
        "taken",
        "wait_seconds",
        "waiting",
        "waiting_limit",
    )

    def __init__(self, limit: int, wait_seconds: float, waiting_limit: int) -> None:
        self.limit = limit
        self.wait_seconds = wait_seconds
        self.waiting_limit = waiting_limit
        self.taken = 0
        self.waiting = 0
        # when the last of the places was taken last
        self._taken_at = 0.0
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)

    def take(self) -> bool:
        """Take a place, if there is one or comes to be one soon."""
        with self._lock:
            if self.taken >= self.limit and not self._wait():
                return False
            self.taken += 1
            if self.taken == self.limit:
                self._taken_at = time.monotonic()
            return True

    def give_back(self) -> None:
        """A request that took a place has ended."""
        with self._lock:
            self.taken -= 1
            if self.waiting:
                self._freed.notify()

    def _wait(self) -> bool:
        is_stuck = time.monotonic() - self._taken_at > self.wait_seconds
        if is_stuck or self.waiting >= self.waiting_limit:
            return False
        self.waiting += 1
        try:
            return self._freed.wait_for(lambda: self.taken < self.limit, self.wait_seconds)
        finally:
            self.waiting -= 1
