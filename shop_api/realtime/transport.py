"""What a connection needs of a transport, and the socket under all of them: whole frames, one at a
time.

Belongs here: what gunicorn's socket lacks, and the one form connections know transports in. Does
not: the transports (websocket.py, event_stream.py), what is sent (connection.py).
"""

import contextlib
import socket
import ssl
import time
from typing import Protocol

import gevent
from gevent.lock import RLock

from shop_api.realtime.frames import Form

DRAIN_SECONDS = 1.0
SOCKET = "gunicorn.socket"


class Transport(Protocol):
    """Carries one connection's frames to its client."""

    form: Form
    # messages that wait to be sent; with more the connection falls behind
    queue_length: int
    # how long the client has to ask for what it missed before it gets live events
    resume_window_seconds: float
    pulse_seconds: float

    @property
    def is_open(self) -> bool:
        """Frames can be sent: neither side has closed."""

    @property
    def dead_at(self) -> float:
        """When the client counts as dead if nothing is heard of it until then."""

    @property
    def sending_since(self) -> float | None:
        """When the send that runs now began."""

    def send(self, data: bytes) -> None:
        """Send all of a frame; waits for the client to take it."""

    def send_at_once(self, data: bytes) -> bool:
        """Send a frame without waiting; what the system has no room for follows by itself.

        False when it must be sent in the other way.
        """

    def send_pulse(self, position: int | None) -> None:
        """Show that the server lives; the client has all there was up to `position`, if given."""

    def close(self, code: int, reason: str) -> None:
        """Say that it is over, between two frames; the client is to hang up."""

    def abort(self) -> None:
        """End it now; whoever waits to send or receive stops waiting."""


class WholeFrameSocket:
    """Gunicorn's socket, sending each frame whole under a lock; knows when bytes last moved."""

    __slots__ = ("_lock", "_rest", "_socket", "last_received", "sending_since")

    def __init__(self, inner: socket.socket) -> None:
        self._socket = inner
        self._lock = RLock()
        # of a frame that was begun: goes before whatever is sent next
        self._rest: memoryview | None = None
        self.last_received = time.monotonic()
        # when the send that runs now began
        self.sending_since: float | None = None

    def send(self, data: bytes) -> int:
        """Send all of `data`, after whatever is being sent."""
        with self._lock:
            self.sending_since = time.monotonic()
            try:
                if self._rest is not None:
                    rest, self._rest = self._rest, None
                    self._socket.sendall(rest)
                if data:
                    self._socket.sendall(data)
            finally:
                self.sending_since = None
        return len(data)

    def send_at_once(self, data: bytes) -> bool:
        """Begin a frame without waiting, and finish it as the client takes it.

        False when something is being sent or nothing can be, which `send` waits for or raises; over
        TLS always: a record that was begun must be tried again as it was.
        """
        if self.sending_since is not None or isinstance(self._socket, ssl.SSLSocket):
            return False
        try:
            sent = self._socket.send(data, 0, 0.0)  # type: ignore[call-arg]
        except OSError:
            return False
        if sent < len(data):
            self._rest = memoryview(data)[sent:]
            self.sending_since = time.monotonic()
            gevent.spawn(self._finish)
        return True

    def _finish(self) -> None:
        # a connection that breaks meanwhile is found by its reader
        with contextlib.suppress(OSError):
            self.send(b"")

    def recv(self, size: int) -> bytes:
        """Some bytes from the client, b"" at its end."""
        data = self._socket.recv(size)
        self.last_received = time.monotonic()
        return data

    def close(self) -> None:
        """Send the end of the stream and read on until the client's.

        Closed at once, with unread bytes, the client would see a reset and not the close frame.
        """
        self.end()
        with contextlib.suppress(OSError), gevent.Timeout(DRAIN_SECONDS, False):
            while self._socket.recv(65536):
                pass

    def end(self) -> None:
        """Send the end of the stream; what the client sends can still be read."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def give_up_after(self, seconds: float) -> None:
        """Let the system end the connection when the client's confirms nothing for so long."""
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            milliseconds = int(seconds * 1000)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

    def abort(self) -> None:
        """End the connection now; whoever waits to send or receive stops waiting."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
