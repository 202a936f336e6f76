"""Signals that come at a bad moment: none may cut short certain work, and none may be lost.

Belongs here: when a signal takes effect. Does not: what it ends (supervisor.py, stores.py).
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HELD_BACK = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM take effect after the block. Keep it short.

    Python calls handlers in the main thread only, so any other is not interrupted anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    previous = {number: signal.signal(number, remember) for number in HELD_BACK}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def end_forked_at_sigterm() -> None:
    """Let SIGTERM end what this process forks, until that sets a handler of its own.

    A server's workers begin with its handlers, which do nothing in them: a worker that is told to
    stop while it loads the application would miss it.
    """
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
