"""Independent parts of one answer, worked out side by side where a thread is free.

Belongs here: beginning a part early, taking its result, and ending what nobody waits for. Does not:
how many queries run at once, which is for the engine's turns to say (engine.py), and what the parts
are (dashboard/).

DuckDB plans a statement on one thread, which for a shop of 50 000 orders is most of its time.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

# How long queries that are interrupted have to end.
STOP_SECONDS = 5.0


class PartEnded(Exception):
    """What this is a part of is given up. Nobody is told: nobody waits for the part."""


class _Running:
    """What runs of the parts of one answer, so that it can be ended."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._interrupts: set[Callable[[], None]] = set()
        self._is_ended = False

    @contextmanager
    def interruptible(self, interrupt: Callable[[], None]) -> Iterator[None]:
        with self._condition:
            if self._is_ended:
                raise PartEnded
            self._interrupts.add(interrupt)
        try:
            yield
        finally:
            with self._condition:
                self._interrupts.discard(interrupt)
                self._condition.notify_all()

    def end(self) -> None:
        until = time.monotonic() + STOP_SECONDS
        with self._condition:
            self._is_ended = True
            # again, for a query that had not begun to run when it was interrupted
            while self._interrupts and time.monotonic() < until:
                for interrupt in self._interrupts:
                    interrupt()
                self._condition.wait(0.01)


_RUNNING: ContextVar[_Running | None] = ContextVar("parts_running", default=None)


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Around a query: `interrupt` ends it if the answer is given up of which it is a part."""
    running = _RUNNING.get()
    if running is None:
        yield
        return
    with running.interruptible(interrupt):
        yield


class Beside:
    """Begins parts in another thread; whoever asks for one that is not begun works it out itself.

    So nobody waits for a busy thread, and an answer takes no longer than part after part. What is
    not begun when it is left, because another part failed, never is, and what runs then is
    interrupted: its turn would be taken from others for nothing.
    """

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        self._pool = pool
        self._begun: list[Future[Any]] = []
        self._running = _Running()

    def __enter__(self) -> "Beside":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for future in self._begun:
            future.cancel()
        self._running.end()

    def begin(self, part: Callable[[], T]) -> Callable[[], T]:
        """A part whose result is given by what is returned; the longest are begun first."""
        if self._pool is None:
            return part
        # spans of a query belong to the request that asked
        context = copy_context()
        context.run(_RUNNING.set, self._running)
        future = self._pool.submit(context.run, part)
        self._begun.append(future)
        return lambda: part() if future.cancel() else future.result()
