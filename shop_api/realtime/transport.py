"""The socket under a WebSocket: whole frames, one at a time, no compression.

Belongs here: what simple-websocket needs and gunicorn's socket lacks. Does not:
what is sent (connection.py).

simple-websocket calls `send` and ignores how much was sent; under gevent that cuts frames of slow
readers short. It also accepts permessage-deflate whenever a client offers it, at three times the
memory. Both are settled before it sees the request.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import RLock
from simple_websocket import ConnectionClosed

DRAIN_SECONDS = 1.0
SOCKET = "gunicorn.socket"


class WholeFrameSocket:
    """Gunicorn's socket, sending each frame whole under a lock; knows when bytes last moved."""

    __slots__ = ("_lock", "_socket", "last_received", "sending_since")

    def __init__(self, inner: socket.socket) -> None:
        self._socket = inner
        self._lock = RLock()
        self.last_received = time.monotonic()
        # when the send that runs now began
        self.sending_since: float | None = None

    def send(self, data: bytes) -> int:
        """Send all of `data`, after whatever is being sent."""
        with self._lock:
            self.sending_since = time.monotonic()
            try:
                self._socket.sendall(data)
            finally:
                self.sending_since = None
        return len(data)

    def recv(self, size: int) -> bytes:
        """Some bytes from the client, b"" at its end."""
        data = self._socket.recv(size)
        self.last_received = time.monotonic()
        return data

    def close(self) -> None:
        """Send the end of the stream and read on until the client's.

        Closed at once, with unread bytes, the client would see a reset and not the close frame.
        """
        with contextlib.suppress(OSError), gevent.Timeout(DRAIN_SECONDS, False):
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(65536):
                pass

    def abort(self) -> None:
        """End the connection now; whoever waits to send or receive stops waiting."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


class InlineReader:
    """Stands where simple-websocket starts a thread: the request's own greenlet reads instead."""

    name = ""

    def __init__(self, target: Callable[[], None]) -> None:
        self.run = target

    def start(self) -> None:
        """Nothing runs until `run` is called."""


class Inbox:
    """Stands where simple-websocket collects messages: each is handled at once, none is kept."""

    __slots__ = ("append",)

    def __init__(self, handle: Callable[[str | bytes], None]) -> None:
        self.append = handle


SERVER_OPTIONS = {"thread_class": InlineReader, "event_class": Event, "receive_bytes": 2048}


def close_politely(websocket: Any, code: int, reason: str) -> None:
    """Send a close frame, unless the connection is already over."""
    with contextlib.suppress(ConnectionClosed, OSError):
        websocket.close(code, reason)


class WebSocketEnviron:
    """WSGI middleware that gives a WebSocket request the right socket and no compression."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if SOCKET in environ and environ.get("HTTP_UPGRADE", "").lower() == "websocket":
            environ[SOCKET] = WholeFrameSocket(environ[SOCKET])
            environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        return self._application(environ, start_response)
