"""Waiting for bodies: how many at once, and how long for each.

Belongs here: places, the deadline and the threads that wait. Does not: limits of size and what is
made of a body (idempotency.py).
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore

from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Exchange

Read = Callable[[], bytes]

# A whole body is read in microseconds: who waits longer than this waits for slow clients.
PLACE_WAIT_SECONDS = 0.25


def is_stranger(exchange: Exchange) -> bool:
    """Whether anybody may have sent it: without a credential, or with a key that is public."""
    principal = exchange.principal
    return principal is None or principal.is_publishable


class _Reader(threading.Thread):
    """Reads one body after another.

    The server's `read` cannot be interrupted: it is this thread that stays with a client who sends
    nothing more, until the connection ends. The request goes on without it.
    """

    def __init__(self) -> None:
        super().__init__(name="body-reader", daemon=True)
        self._asked: SimpleQueue[Read | None] = SimpleQueue()
        self._answers: SimpleQueue[bytes | Exception] = SimpleQueue()
        self.start()

    def run(self) -> None:
        """Read until told to end."""
        while (read := self._asked.get()) is not None:
            try:
                self._answers.put(read())
            except Exception as error:  # noqa: BLE001 (raised in the request that asked)
                self._answers.put(error)

    def read(self, read: Read, seconds: float) -> bytes:
        """What `read` returns or raises; raises `Empty` after `seconds`."""
        self._asked.put(read)
        answer = self._answers.get(timeout=seconds)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        """Let the thread end after what it reads now."""
        self._asked.put(None)


class BodyReaders:
    """How many threads may wait for bodies at once, and for how long.

    A client that sends half a body holds a thread. So some threads are always free for requests
    without one, strangers can never take the places of customers, and no place is held past the
    deadline.
    """

    def __init__(self, threads: int, deadline_seconds: float) -> None:
        self._known = BoundedSemaphore(max(1, threads - 2))
        self._strangers = BoundedSemaphore(max(1, threads // 4))
        self._deadline_seconds = deadline_seconds
        self._idle: list[_Reader] = []

    def read(self, exchange: Exchange, read: Read) -> bytes:
        """The body `read` waits for; 503 when no place comes free soon, 408 past the deadline."""
        places = self._strangers if is_stranger(exchange) else self._known
        if not places.acquire(timeout=PLACE_WAIT_SECONDS):
            raise DomainError(
                ErrorKind.UNAVAILABLE,
                "server_busy",
                "Too many requests are still being received. Try again shortly.",
                retry_after_seconds=1,
            )
        try:
            return self._read(read)
        finally:
            places.release()

    def _read(self, read: Read) -> bytes:
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = _Reader()
        try:
            body = reader.read(read, self._deadline_seconds)
        except Empty:
            reader.end()
            raise DomainError(
                ErrorKind.TIMED_OUT,
                "body_timeout",
                "The body did not arrive in time. Send it again.",
            ) from None
        except BaseException:
            reader.end()
            raise
        self._idle.append(reader)
        return body
