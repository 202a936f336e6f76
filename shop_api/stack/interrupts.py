"""Signals that come at a bad moment: none may cut short certain work, and none may be lost.

Belongs here: when a signal takes effect. Does not: what it ends (supervisor.py, stores.py).
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HELD_BACK = (signal.SIGINT, signal.SIGTERM)
SEND_AGAIN_SECONDS = 0.05


def raise_at_signals() -> None:
    """Have SIGTERM end this process as Ctrl-C does: by an exception, which closes what is open.

    Python ignores what is raised in a `__del__` or in a callback of a weak reference, and a signal
    may come just there: redis-py and the import system have such. It is sent once more then.
    """
    signal.signal(signal.SIGTERM, _exit)
    sys.unraisablehook = _send_again


def _exit(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _send_again(ignored: "sys.UnraisableHookArgs") -> None:
    if isinstance(ignored.exc_value, KeyboardInterrupt):
        number = signal.SIGINT
    elif isinstance(ignored.exc_value, SystemExit):
        number = signal.SIGTERM
    else:
        sys.__unraisablehook__(ignored)
        return
    # after this hook, in which it would be ignored as well
    timer = threading.Timer(SEND_AGAIN_SECONDS, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


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
