"""Independent parts of one answer, worked out side by side where a thread is free.

Belongs here: beginning a part early and taking its result. Does not: how many queries run at once,
which is for the engine's turns to say (engine.py), and what the parts are (dashboard/).

DuckDB plans a statement on one thread, which for a shop of 50 000 orders is most of its time.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


class Beside:
    """Begins parts in another thread; whoever asks for one that is not begun works it out itself.

    So nobody waits for a busy thread, and an answer takes no longer than part after part. What is
    not begun when it is left, because another part failed, never is.
    """

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        self._pool = pool
        self._begun: list[Future[Any]] = []

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

    def begin(self, part: Callable[[], T]) -> Callable[[], T]:
        """A part whose result is given by what is returned; the longest are begun first."""
        if self._pool is None:
            return part
        # spans of a query belong to the request that asked
        future = self._pool.submit(copy_context().run, part)
        self._begun.append(future)
        return lambda: part() if future.cancel() else future.result()
