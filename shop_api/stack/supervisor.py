"""Keeping processes running: start, restart those that die, stop all in reverse order.

Belongs here: the life of child processes. Does not: which there are (children.py), the stores
(stores.py).
"""

import ctypes
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from shop_api.stack.children import ChildSpec

POLL_SECONDS = 0.1
READY_POLL_SECONDS = 0.3
REVIVE_SECONDS = 1.0
BACKOFF_MIN_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 10.0
# A child that ran this long is not failing over and over.
STABLE_SECONDS = 30.0
# When stopping: how long the next child waits for the one before it.
STAGGER_SECONDS = 1.0
# Beyond the children's own grace, before they are killed.
KILL_MARGIN_SECONDS = 0.5

PR_SET_PDEATHSIG = 1

logger = logging.getLogger(__name__)


def _die_with_parent() -> Callable[[], None] | None:
    """What a child does before its program starts, so that it gets SIGTERM when this process dies.

    Linux only; elsewhere the children of a killed supervisor stay until they are ended by hand.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


class Child:
    """One process and its restarts."""

    def __init__(self, spec: ChildSpec, environment: Mapping[str, str]) -> None:
        self.spec = spec
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._backoff_seconds = BACKOFF_MIN_SECONDS
        self._start_at = 0.0
        self.is_ready = False

    def start(self) -> None:
        """Start the process, the leader of a group of its own."""
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            self.spec.command,
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 (no other thread starts processes)
        )

    def watch(self, now: float) -> None:
        """Start the process again if it died and its pause is over."""
        if self._process is None:
            if now >= self._start_at:
                self.start()
            return
        code = self._process.poll()
        if code is None:
            return
        self.kill()
        if now - self._started_at >= STABLE_SECONDS:
            self._backoff_seconds = BACKOFF_MIN_SECONDS
        logger.error(
            "process ended, starting it again",
            extra={
                "child": self.spec.name,
                "code": code,
                "pause_seconds": self._backoff_seconds,
            },
        )
        self._start_at = now + self._backoff_seconds
        self._backoff_seconds = min(self._backoff_seconds * 2, BACKOFF_MAX_SECONDS)
        self._process = None

    def check_ready(self) -> bool:
        """Whether the child has answered at least once."""
        if not self.is_ready and self._process is not None:
            url = self.spec.health_url
            self.is_ready = url is None or is_healthy(url)
        return self.is_ready

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ask_to_stop(self) -> None:
        """SIGTERM to the process itself, which tells its own workers."""
        if self._process is not None and self.is_running:
            self._process.terminate()

    def kill(self) -> None:
        """SIGKILL to whatever is left of its group."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            # nobody is left; macOS says so of a group of zombies with EPERM
            return
        self._process.wait()


def is_healthy(url: str) -> bool:
    """Whether the health address answers 200 now; of a `tls://` address, whether it greets."""
    try:
        if url.startswith("tls://"):
            return _shakes_hands(url)
        with urllib.request.urlopen(url, timeout=1, context=_own_machine()) as response:  # noqa: S310
            return bool(response.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def _shakes_hands(url: str) -> bool:
    place = urllib.parse.urlsplit(url)
    with (
        socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=1) as plain,
        _own_machine().wrap_socket(plain),
    ):
        return True


def _own_machine() -> ssl.SSLContext:
    """Of a process this one started nothing need be proved, and its name is another's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Supervisor:
    """Runs children until told to stop. Call it from the main thread: signals arrive there."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        environment: Mapping[str, str],
        *,
        grace_seconds: float,
        revive_stores: Callable[[], None] = lambda: None,
    ) -> None:
        self._children = [Child(spec, environment) for spec in specs]
        self._grace_seconds = grace_seconds
        self._revive_stores = revive_stores
        self._is_stopping = False

    def stop(self) -> None:
        """Ask `run` to stop everything and return."""
        self._is_stopping = True

    def run(
        self,
        on_ready: Callable[[], None] = lambda: None,
        on_stopping: Callable[[], None] = lambda: None,
    ) -> None:
        """Start, watch, and stop at SIGTERM, SIGINT, SIGHUP. `on_ready`: once all have answered."""
        with self._signals():
            try:
                for child in self._children:
                    child.start()
                self._watch(on_ready)
            finally:
                on_stopping()
                self._stop_children()

    def _watch(self, on_ready: Callable[[], None]) -> None:
        is_announced = False
        next_ready_check = next_revive = 0.0
        while not self._is_stopping:
            now = time.monotonic()
            for child in self._children:
                child.watch(now)
            if now >= next_revive:
                next_revive = now + REVIVE_SECONDS
                self._revive_stores()
            if not is_announced and now >= next_ready_check:
                next_ready_check = now + READY_POLL_SECONDS
                if all(child.check_ready() for child in self._children):
                    is_announced = True
                    on_ready()
            time.sleep(POLL_SECONDS)

    def _stop_children(self) -> None:
        """In reverse order of start, each a moment after the one before; then kill who is left."""
        deadline = time.monotonic() + self._grace_seconds + KILL_MARGIN_SECONDS
        for child in reversed(self._children):
            child.ask_to_stop()
            self._wait(lambda child=child: child.is_running, STAGGER_SECONDS)  # type: ignore[misc]
        self._wait(
            lambda: any(child.is_running for child in self._children),
            deadline - time.monotonic(),
        )
        for child in self._children:
            if child.is_running:
                logger.error("process did not stop in time", extra={"child": child.spec.name})
            child.kill()

    @staticmethod
    def _wait(condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while condition() and time.monotonic() < deadline:
            time.sleep(0.02)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def handle(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        previous = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
