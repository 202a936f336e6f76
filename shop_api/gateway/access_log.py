"""The access log: one JSON line per request, without secrets or personal data.

Belongs here: what a request is measured by, and writing lines together. Does not: the lines of
other loggers (kernel/logs.py), whose field names these share. Lines are encoded by msgspec, half
as dear together as one by one, and written by a thread of their own: a system call per answer lets
go of the interpreter's lock, and taking it back cost more than the rest of a hot answer.
"""

import atexit
import logging
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import msgspec

from shop_api.db.query_watch import served
from shop_api.kernel.api_versions import NEWEST
from shop_api.kernel.exchange import Answer, Exchange, Stage

STANDARD_ERROR = 2
# How long lines wait for others to be written with, and how many may wait.
GATHER_SECONDS = 0.02
MAX_WAITING = 10_000
# Written at once to a pipe, lines of several processes never mix up to this.
PIPE_BYTES = 4096
FILE_BYTES = 262_144
# What a line may have with a long route, trace and actor.
MAX_LINE_BYTES = 640

logger = logging.getLogger(__name__)

_encode_lines = msgspec.json.Encoder().encode_lines


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """A line; fields with nothing to tell are left out."""

    timestamp: datetime
    level: str
    process: str
    pid: int
    message: str
    request_id: str
    method: str
    # the template, never the path
    route: str | None
    status: int
    duration_seconds: float
    # sent to Postgres
    queries: int
    trace_id: str = ""
    tenant_id: UUID | None = None
    actor: str | None = None
    cache: str | None = None
    is_slow: bool = False
    api_version: str = NEWEST


WriteLine = Callable[[Line], object]


class LineWriter:
    """Writes lines to a file descriptor, soon and together. Its thread starts with the first."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[Line] = deque()
        self._wake = threading.Event()
        self._is_woken = False
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self, line: Line) -> None:
        """Have a line written; only when too many wait, by the caller."""
        self._lines.append(line)
        if not self._is_woken:
            self._is_woken = True
            if self._thread is None:
                self._start()
            self._wake.set()
        elif len(self._lines) > MAX_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write all lines that wait; where that fails (a full disk) they are lost, no answer is."""
        with self._writing:
            try:
                self._write_waiting()
            except OSError:
                self._lines.clear()
                logger.exception("lines of the access log are lost")

    def _write_waiting(self) -> None:
        if not self._lines:
            return
        is_pipe = stat.S_ISFIFO(os.fstat(self._descriptor).st_mode)
        limit = PIPE_BYTES if is_pipe else FILE_BYTES
        while self._lines:
            take = self._lines.popleft
            # at least one line, and no more than fit
            count = max(1, min(len(self._lines), limit // MAX_LINE_BYTES))
            self._write(_encode_lines([take() for _ in range(count)]))

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]

    def _start(self) -> None:
        with self._writing:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            time.sleep(GATHER_SECONDS)
            # before taking the lines: one that comes later wakes this thread again
            self._is_woken = False
            self.flush()


write_line = LineWriter(STANDARD_ERROR)
atexit.register(write_line.flush)


class AccessLog:
    """Logs method, route, status, duration, queries and who asked."""

    def __init__(self, forward: Stage, slow_request_seconds: float, write: WriteLine) -> None:
        self.forward = forward
        self.slow_request_seconds = slow_request_seconds
        self.write = write
        self.pid = os.getpid()

    def __call__(self, exchange: Exchange) -> Answer:
        served.request_id, served.trace_id = exchange.request_id, exchange.trace_id
        queries_before = served.query_count
        answer = self.forward(exchange)
        seconds = exchange.seconds
        principal = exchange.principal
        tenant_id = actor = None
        if principal is not None:
            tenant_id, actor = principal.tenant_id, principal.actor
        self.write(
            Line(
                exchange.started_at,
                "info",
                "api",
                self.pid,
                "request",
                exchange.request_id,
                exchange.method,
                exchange.route,
                answer.status,
                # a fifth of what round() takes
                int(seconds * 1_000_000) / 1_000_000,
                served.query_count - queries_before,
                exchange.trace_id,
                tenant_id,
                actor,
                exchange.cache_status,
                seconds > self.slow_request_seconds,
                exchange.api_version,
            )
        )
        return answer
