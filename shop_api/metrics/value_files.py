"""The files in which the processes of a machine count, in a folder they share.

Belongs here: whose file is whose, and which process lives. Does not: what is counted
(definitions.py), putting it together (exposition.py).

A process lives while it holds the lock of its `.alive` file. Its pid alone would not tell: after a
restart of a container another process has it, and would go on from values it has not counted.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import values

from shop_api.metrics.folder import shared_folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else reads the folder or changes which files there are."""
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class Identity:
    """This process's name in the folder, another one in each process that was forked from it."""

    def __init__(self) -> None:
        self._pid = 0
        self._name = ""
        # open, and so locked, as long as the process lives
        self._alive: int | None = None

    def __call__(self) -> str:
        pid = os.getpid()
        if pid != self._pid:
            self._pid, self._name = pid, f"{pid}-{secrets.token_hex(4)}"
            self._claim()
        return self._name

    def _claim(self) -> None:
        folder = shared_folder()
        assert folder is not None
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            if self._alive is not None:
                os.close(self._alive)
            self._alive = os.open(alive_path(folder, self._name), os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._alive, fcntl.LOCK_EX)


def alive_path(folder: Path, name: str) -> Path:
    """The file whose lock a process of that name holds."""
    return folder / f"{name}.alive"


def is_alive(folder: Path, name: str) -> bool:
    """Whether the process of that name runs."""
    try:
        with alive_path(folder, name).open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def share_values() -> None:
    """Have metrics that are defined from here on counted in the folder, if there is one."""
    if shared_folder() is not None:
        values.ValueClass = values.MultiProcessValue(Identity())
