"""A circuit breaker: who asks something that is away again and again waits each time for nothing.

Belongs here: when to ask and when not. Does not: what is asked, and what is done without it.
"""

import threading
import time
from collections.abc import Callable

Clock = Callable[[], float]


class Breaker:
    """Opens after failures in a row; once it has been open for its time, one call tries.

    That call closes it or has it open for its time again; one that never tells is as one that
    failed. Ask `allows` before each call, and tell `succeeded` or `failed` after it. While it is
    closed and nothing fails, neither takes a lock.
    """

    __slots__ = ("_clock", "_failures", "_lock", "_next_try", "failure_limit", "open_seconds")

    def __init__(
        self, failure_limit: int, open_seconds: float, clock: Clock = time.monotonic
    ) -> None:
        if failure_limit < 1 or open_seconds <= 0:
            raise ValueError("a breaker opens after one failure or more, and for some time")
        self.failure_limit = failure_limit
        self.open_seconds = open_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        # while it is open: when a call may try
        self._next_try: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls are held back; one may be trying now."""
        return self._next_try is not None

    def allows(self) -> bool:
        """Whether to make a call now."""
        if self._next_try is None:
            return True
        with self._lock:
            return self._may_try()

    def succeeded(self) -> None:
        """A call was answered."""
        if self._failures:
            with self._lock:
                self._failures = 0
                self._next_try = None

    def failed(self) -> None:
        """A call was not answered."""
        with self._lock:
            self._failures += 1
            if self._failures >= self.failure_limit:
                self._next_try = self._clock() + self.open_seconds

    def _may_try(self) -> bool:
        now = self._clock()
        # another thread may have closed it since it was found open
        if self._next_try is None:
            return True
        if now < self._next_try:
            return False
        self._next_try = now + self.open_seconds
        return True
