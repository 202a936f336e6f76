"""The memory of bodies: how many bytes of them a process holds at once.

Belongs here: counting bytes and waiting for them. Does not: limits of one body (body_size.py), how
many threads wait for bodies (body_readers.py).

A body is held from its first byte until its request is answered, and what is read from it takes
several times its size. Eight of 10 MB at once would have a process grow beyond its budget, and the
C library keeps what it was given. Small bodies count for nothing: the threads bound them.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shop_api.gateway.refusal import server_busy

SMALL_BYTES = 65_536
# As long as a few bodies on a fast network take to be received and answered.
WAIT_SECONDS = 0.25


class BodyMemory:
    """`limit_bytes` of bodies at once; a single larger one may come when no other is held.

    `waiting_limit` requests wait for a moment, each in its thread; others are refused at once.
    """

    def __init__(self, limit_bytes: int, waiting_limit: int) -> None:
        self.limit_bytes = limit_bytes
        self.waiting_limit = waiting_limit
        self.held_bytes = 0
        self.waiting = 0
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Hold a body of `size` bytes through the block; 503 when there is no room for it soon."""
        if size <= SMALL_BYTES:
            yield
            return
        if not self._take(size):
            raise server_busy("body_bytes", "Too many large bodies are being received.")
        try:
            yield
        finally:
            with self._lock:
                self.held_bytes -= size
                self._freed.notify_all()

    def _take(self, size: int) -> bool:
        with self._lock:
            if not self._has_room(size) and not self._wait(size):
                return False
            self.held_bytes += size
            return True

    def _has_room(self, size: int) -> bool:
        return self.held_bytes == 0 or self.held_bytes + size <= self.limit_bytes

    def _wait(self, size: int) -> bool:
        if self.waiting >= self.waiting_limit:
            return False
        self.waiting += 1
        try:
            return self._freed.wait_for(lambda: self._has_room(size), WAIT_SECONDS)
        finally:
            self.waiting -= 1
