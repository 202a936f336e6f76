"""The deadline of what a thread does now, and connections that keep to it.

Belongs here: how long a request may still take, and ending its statement when it may not. Does not:
when a request begins (gateway) and what its client is told (outages.py). Postgres's own limit is
for each statement and binds only a server that still works.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from psycopg.waiting import Ready
from sqlalchemy import Engine, event

from shop_api.kernel.errors import DomainError, ErrorKind

Found = TypeVar("Found")

WAIT_INTERVAL_SECONDS = 0.1
# For a statement that is cancelled to say so, and for a transaction to be rolled back afterwards.
ENDING_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Deadline(threading.local):
    """When this thread's work is to have ended, in monotonic seconds."""

    at: float | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """End the block's statements after `seconds`, or when the work around it must end."""
        outer = self.at
        own = time.monotonic() + seconds
        self.at = own if outer is None else min(own, outer)
        try:
            yield
        finally:
            self.at = outer

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time of the block."""
        started = time.monotonic()
        try:
            yield
        finally:
            if self.at is not None:
                self.at += time.monotonic() - started

    def left_seconds(self) -> float | None:
        """How long the work may still take; None: as long as it will."""
        return None if self.at is None else self.at - time.monotonic()

    def require_time(self) -> None:
        """Raise `deadline_exceeded` when nothing more is to be begun."""
        if self.at is not None and time.monotonic() > self.at:
            raise deadline_exceeded()


deadline = Deadline()


def deadline_exceeded() -> DomainError:
    """The request took longer than it may."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "deadline_exceeded",
        "The request ran past its deadline. Ask for less, or try again.",
        retry_after_seconds=1,
    )


class PunctualConnection(psycopg.Connection[Any]):
    """A connection whose waits end with the thread's deadline: the statement is cancelled, and a
    server that does not even hear that is left.
    """

    def wait(
        self,
        gen: PQGen[Found],
        interval: float = WAIT_INTERVAL_SECONDS,
        timeout: float | None = None,
    ) -> Found:
        """As psycopg's, within the deadline."""
        ends_at = deadline.at
        if ends_at is None:
            return super().wait(gen, interval, timeout)
        left = ends_at - time.monotonic()
        if left <= 0:
            # no statement is begun so late: this ends what was
            left = ENDING_SECONDS
        try:
            return super().wait(gen, interval, left if timeout is None else min(left, timeout))
        except _WaitTimeout:
            return self._end(gen, interval)

    def _end(self, gen: PQGen[Found], interval: float) -> Found:
        """Cancel what runs; what it answers, most likely that it is cancelled."""
        with suppress(psycopg.Error):
            self.cancel_safe(timeout=ENDING_SECONDS)
        try:
            return super().wait(_resumed(gen), interval, ENDING_SECONDS)
        except _WaitTimeout as error:
            logger.warning("Postgres does not answer: a connection is closed at its deadline")
            self.pgconn.finish()
            raise psycopg.OperationalError("the server does not answer") from error


def _resumed(gen: PQGen[Found]) -> PQGen[Found]:
    """What was left waiting, told that nothing is ready yet: while it sends it takes no None."""
    try:
        wanted = gen.send(Ready.NONE)
        while True:
            wanted = gen.send((yield wanted))
    except StopIteration as end:
        return end.value


def keep_deadlines(engine: Engine) -> None:
    """Have the engine's connections keep to the deadline of the thread that uses them."""

    @event.listens_for(engine, "do_connect")
    def connect(_: Any, __: Any, arguments: Any, options: Any) -> psycopg.Connection[Any]:
        return PunctualConnection.connect(*arguments, **options)

    @event.listens_for(engine, "before_cursor_execute")
    def require_time(*_: Any) -> None:
        deadline.require_time()
