"""`GET /ws`: from the request to a connection that listens, and its end.

Belongs here: the WebSocket, and how it tells what is refused. Does not: who may listen
(admission.py), what is sent (connection.py).

simple-websocket calls `send` and ignores how much was sent; under gevent that cuts frames of slow
readers short. It also accepts permessage-deflate whenever a client offers it, at three times the
memory. Both are settled before it sees the request.
"""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, g, request
from flask_sock import Sock
from gevent.event import Event
from simple_websocket import ConnectionClosed
from wsproto.events import Ping as PingFrame

from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.ids import new_id
from shop_api.kernel.principal import Principal
from shop_api.realtime import connection as closing
from shop_api.realtime.admission import BAD_ORIGIN, BAD_TICKET, Admission, serve
from shop_api.realtime.connection import Connection
from shop_api.realtime.frames import WEBSOCKET
from shop_api.realtime.interest import Interest
from shop_api.realtime.messages import MESSAGE_LIMIT_BYTES
from shop_api.realtime.metrics import UNAVAILABLE, WEBSOCKETS
from shop_api.realtime.services import RealtimeServices
from shop_api.realtime.transport import SOCKET, WholeFrameSocket
from shop_api.settings import Settings

ENDPOINT = "listen"
# How long a new connection waits for a `resume` before it gets live events.
RESUME_WINDOW_SECONDS = 0.25
CLOSE_CODES = {
    ErrorKind.UNAUTHENTICATED: closing.CLOSE_BAD_TICKET,
    ErrorKind.FORBIDDEN: closing.CLOSE_SCOPE,
    ErrorKind.RATE_LIMITED: closing.CLOSE_TOO_MANY,
    ErrorKind.UNAVAILABLE: closing.CLOSE_TRY_AGAIN,
}


def add_websocket(app: Flask, services: RealtimeServices) -> None:
    """Route `/ws` on the application."""
    app.config["SOCK_SERVER_OPTIONS"] = {
        **SERVER_OPTIONS,
        "max_message_size": MESSAGE_LIMIT_BYTES,
    }
    sock = Sock(app)
    admission = Admission(services)

    @app.before_request
    def admit() -> Response | None:
        if request.endpoint == ENDPOINT:
            g.principal = _admit(admission)
        return None

    @sock.route("/ws", endpoint=ENDPOINT)
    def listen(websocket: Any) -> None:
        try:
            _listen(admission, services, websocket, g.principal)
        except DomainError as error:
            _refuse(websocket, error)


def _admit(admission: Admission) -> Principal | None:
    """Who connects, None for a bad ticket. What a page may not do at all is refused as HTTP.

    A bad ticket is told by a close code, which browsers show to the page; a refused handshake they
    do not.
    """
    admission.refuse_while_draining()
    ticket, origin = request.args.get("ticket", ""), request.headers.get("Origin")
    try:
        holder = admission.find_holder(ticket, origin)
        if holder is None:
            return None
        admission.check_origin(holder, origin, request.host)
        principal = admission.confirm(holder)
        return principal if admission.redeem(ticket) else None
    except DomainError as error:
        error_type = error.code if error is BAD_ORIGIN else UNAVAILABLE
        WEBSOCKETS.errors.labels(error_type).inc()
        raise


def _listen(
    admission: Admission, services: RealtimeServices, websocket: Any, principal: Principal | None
) -> None:
    if principal is None:
        raise BAD_TICKET
    with admission.place_of(principal) as feed:
        connection = Connection(
            new_id(services.log.clock()),
            principal,
            WebSocketTransport(websocket, services.settings),
            Interest(principal.scopes),
            services.log,
            feed,
            services.settings,
        )
        websocket.input_buffer = Inbox(connection.handle)

        def read() -> int:
            websocket.thread.run()
            return int(websocket.close_reason)

        serve(services.hub, feed, connection, read, WEBSOCKETS)


def _refuse(websocket: Any, error: DomainError) -> None:
    code = CLOSE_CODES[error.kind]
    if error.kind is ErrorKind.UNAVAILABLE:
        WEBSOCKETS.errors.labels(UNAVAILABLE).inc()
    else:
        WEBSOCKETS.count_close(code)
    close_politely(websocket, code, error.detail)
    # reads the client's close frame, if it sends one
    websocket.thread.run()


class WebSocketTransport:
    """A connection's frames over a WebSocket."""

    __slots__ = ("_idle_seconds", "_socket", "_websocket", "pulse_seconds", "queue_length")

    form = WEBSOCKET
    resume_window_seconds = RESUME_WINDOW_SECONDS

    def __init__(self, websocket: Any, settings: Settings) -> None:
        self._websocket = websocket
        self._socket: WholeFrameSocket = websocket.sock
        self._idle_seconds = settings.websocket_idle_seconds
        self.queue_length = settings.websocket_queue_length
        self.pulse_seconds = settings.websocket_ping_seconds

    @property
    def is_open(self) -> bool:
        """Neither side has closed."""
        connected: bool = self._websocket.connected
        return connected

    @property
    def dead_at(self) -> float:
        """A living client answers pings."""
        return self._socket.last_received + self._idle_seconds

    @property
    def sending_since(self) -> float | None:
        """When the send that runs now began."""
        return self._socket.sending_since

    def send(self, data: bytes) -> None:
        """Send a frame whole."""
        self._socket.send(data)

    def send_at_once(self, data: bytes) -> bool:
        """Send without waiting, if that can be."""
        return self._socket.send_at_once(data)

    def send_pulse(self, position: int | None) -> None:
        """A ping; it has no room for a position."""
        self._socket.send(self._websocket.ws.send(PingFrame()))

    def close(self, code: int, reason: str) -> None:
        """Send a close frame."""
        close_politely(self._websocket, code, reason)

    def abort(self) -> None:
        """End it now."""
        self._socket.abort()


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
