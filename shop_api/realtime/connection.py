"""One listener: what it wants, how far it has come, and the one greenlet that writes to it.

Belongs here: queue, replay, pulse and close of a connection. Does not: which events there are
(feed.py) and how the socket works (transport.py).

A connection is either live, and then the feed queues events for it, or behind, and then the writer
reads them from Postgres until it has caught up with the feed. It starts behind for a moment, so
that a client that resumes gets the past before the present; it falls behind when its queue is full.
"""

import logging
import time
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import gevent
import msgspec
from gevent.event import Event as Signal
from sqlalchemy.exc import SQLAlchemyError
from wsproto.events import Ping as PingFrame

from shop_api.db.outages import describe
from shop_api.kernel.principal import Principal
from shop_api.realtime import messages
from shop_api.realtime.actors import Standings, admit
from shop_api.realtime.event_log import BATCH_ROWS, EventLog
from shop_api.realtime.messages import Frame, OutgoingEvent, control_frame
from shop_api.realtime.transport import close_politely
from shop_api.settings import Settings

# How long a new connection waits for a `resume` before it gets live events.
RESUME_WINDOW_SECONDS = 0.25
# How long a client may take to answer a close frame before it is cut off.
CLOSE_LINGER_SECONDS = 2.0
# The same for a slow client, who first has to take what lies in the socket's buffers.
SLOW_LINGER_SECONDS = 10.0
RETRY_SECONDS = 1.0

CLOSE_TOO_BIG = 1009
CLOSE_RESTART = 1012
CLOSE_TRY_AGAIN = 1013
CLOSE_BAD_TICKET = 4401
CLOSE_SCOPE = 4403
CLOSE_IDLE = 4408
CLOSE_TOO_MANY = 4429

logger = logging.getLogger(__name__)


class Positioned(Protocol):
    """The feed, as a connection sees it: the last event it gave out."""

    position: int


@dataclass(slots=True)
class Replay:
    """A `resume` being answered: events up to `start` were missed, those after it up to `sent`
    not."""

    last_event_id: int
    start: int
    sent: int
    is_announced: bool = False


class Connection:
    """A WebSocket of one tenant."""

    def __init__(
        self,
        id_: UUID,
        principal: Principal,
        websocket: Any,
        log: EventLog,
        feed: Positioned,
        settings: Settings,
    ) -> None:
        now = time.monotonic()
        self.id = id_
        self.principal = principal
        self.tenant_id = principal.tenant_id
        self._socket = websocket.sock
        self._websocket = websocket
        self._log = log
        self._feed = feed
        self._settings = settings
        self._allowed = messages.visible_types(principal.scopes)
        self._types = set(self._allowed)
        self._shows_email = messages.EMAIL_SCOPE in principal.scopes
        self._queue: deque[Frame] = deque()
        self._signal = Signal()
        # events up to here were sent, queued or not wanted
        self._position = feed.position
        # the client was told of this position when it connected, or has resumed from it since
        self._start = feed.position
        self._requested_resume: int | None = None
        self._replay: Replay | None = None
        self.is_live = False
        self._full_since = now
        self._held_until = now + RESUME_WINDOW_SECONDS
        self._next_ping = now + settings.websocket_ping_seconds
        self._is_detached = False
        self.close_code: int | None = None
        self._close_reason = ""
        greeting = {"connection_id": id_, "tenant_id": principal.tenant_id}
        self._queue.append(control_frame("connected", greeting, log.clock(), self._start))

    # what the feed and the hub call; none of these waits

    def offer(self, outgoing: OutgoingEvent) -> None:
        """Queue a live event, if it is wanted; with a full queue the connection falls behind."""
        event = outgoing.event
        if not self.is_live or event.id <= self._position:
            return
        if event.type in self._types:
            if len(self._queue) >= self._settings.websocket_queue_length:
                self.is_live = False
                self._full_since = time.monotonic()
                return
            self._queue.append(outgoing.frame(shows_email=self._shows_email))
            self._signal.set()
        self._position = event.id

    def check_standing(self, standings: Standings) -> None:
        """Close when the credential no longer counts, or may do less than when it connected."""
        admitted = admit(self.principal, standings)
        if admitted is None:
            self.close(CLOSE_BAD_TICKET, "the credential no longer counts")
        elif admitted.scopes != self.principal.scopes:
            self.close(CLOSE_SCOPE, "the credential may do less than it could")

    def close(self, code: int, reason: str) -> None:
        """Close after the frame that is being sent; cut off when the client does not follow."""
        if self.close_code is not None:
            return
        self.close_code, self._close_reason = code, reason
        self._queue.clear()
        self._signal.set()
        linger = SLOW_LINGER_SECONDS if code == CLOSE_TRY_AGAIN else CLOSE_LINGER_SECONDS
        gevent.spawn_later(linger, self._socket.abort)

    def check_progress(self, now: float) -> None:
        """Close a client that takes nothing: at once when behind, else when it counts as dead."""
        since = self._socket.sending_since
        if since is None or self.close_code is not None:
            return
        full_since = max(since, self._full_since)
        if not self.is_live and now - full_since >= self._settings.slow_client_seconds:
            self.close(CLOSE_TRY_AGAIN, "too slow, resume later")
        elif now - since >= self._settings.websocket_idle_seconds:
            self.close(CLOSE_IDLE, "no sign of life")

    def detach(self) -> None:
        """The reader has ended: let the writer end too."""
        self._is_detached = True
        self._signal.set()
        self._socket.abort()

    # what the reader calls

    def handle(self, message: str | bytes) -> None:
        """Act on a client's message, or answer what is wrong with it."""
        if len(message.encode() if isinstance(message, str) else message) > (
            messages.MESSAGE_LIMIT_BYTES
        ):
            self.close(CLOSE_TOO_BIG, f"messages have at most {messages.MESSAGE_LIMIT_BYTES} bytes")
            return
        if isinstance(message, bytes):
            self._refuse("malformed_message", "Send text, not binary messages.")
            return
        try:
            request = messages.decode_request(message)
        except msgspec.DecodeError as error:
            self._refuse("malformed_message", f"{error}.")
            return
        match request:
            case messages.Ping():
                self._tell("pong", {})
            case messages.Subscribe(types):
                self._subscribe(self._allowed if types is None else types)
            case messages.Unsubscribe(types):
                self._types -= set(self._allowed if types is None else types)
                self._tell_types()
            case messages.Resume(last_event_id):
                self._ask_resume(last_event_id)

    def _subscribe(self, types: Any) -> None:
        for type_ in types:
            if type_ not in messages.EVENT_SCOPES:
                self._refuse("unknown_event_type", f"There is no event type `{type_}`.")
                return
            if type_ not in self._allowed:
                scope = messages.EVENT_SCOPES[type_]
                self._refuse("insufficient_scope", f"{type_} needs the scope {scope}.")
                return
        self._types |= set(types)
        self._tell_types()

    def _ask_resume(self, last_event_id: int) -> None:
        if self._replay is not None or self._requested_resume is not None:
            self._refuse("resume_in_progress", "A resume is still being answered.")
            return
        self._requested_resume = last_event_id
        self._signal.set()

    def _tell_types(self) -> None:
        self._tell("subscribed", {"types": sorted(self._types)})

    def _refuse(self, code: str, detail: str) -> None:
        self._tell("error", {"code": code, "detail": detail})

    def _tell(self, type_: str, data: dict[str, Any]) -> None:
        """Queue a message about the connection; a client that asks more than it reads is closed."""
        if self.close_code is not None:
            return
        if len(self._queue) >= self._settings.websocket_queue_length:
            self.close(CLOSE_TRY_AGAIN, "too slow, resume later")
            return
        self._queue.append(control_frame(type_, data, self._log.clock()))
        self._signal.set()

    # the writer

    def write(self) -> None:
        """The connection's one writer: runs until the connection is over."""
        try:
            while not self._is_detached and self._websocket.connected:
                self._write_next()
        except OSError as error:
            logger.debug("connection %s broke: %s", self.id, error)
            self._socket.abort()
        except Exception:
            logger.exception("the writer of connection %s failed", self.id)
            self._socket.abort()

    def _write_next(self) -> None:
        if self.close_code is not None:
            close_politely(self._websocket, self.close_code, self._close_reason)
            return
        now = time.monotonic()
        if self._queue:
            self._send(self._queue.popleft())
        elif self._requested_resume is not None:
            self._begin_replay(self._requested_resume)
        elif not self.is_live and now >= self._held_until:
            self._catch_up()
        else:
            self._signal.wait(max(0.0, self._next_check() - now))
            self._signal.clear()
        self._check_pulse(time.monotonic())

    def _send(self, frame: Frame) -> None:
        self._socket.send(frame.data)
        frame.sent.inc()

    def _next_check(self) -> float:
        dead_at = self._socket.last_received + self._settings.websocket_idle_seconds
        due = min(self._next_ping, dead_at)
        return due if self.is_live else min(due, self._held_until)

    def _check_pulse(self, now: float) -> None:
        if now - self._socket.last_received >= self._settings.websocket_idle_seconds:
            self.close(CLOSE_IDLE, "no sign of life")
        elif now >= self._next_ping and self._websocket.connected:
            self._next_ping = now + self._settings.websocket_ping_seconds
            self._socket.send(self._websocket.ws.send(PingFrame()))

    def _begin_replay(self, last_event_id: int) -> None:
        """Go back to `last_event_id`; what this connection has sent is not sent again."""
        is_ahead = last_event_id > self._feed.position
        try:
            is_unknown = is_ahead and last_event_id > self._log.position(self.tenant_id)
        except SQLAlchemyError as error:
            self._pause(error)
            return
        self._requested_resume = None
        if is_unknown:
            self._refuse("unknown_event", f"There is no event {last_event_id} yet.")
            return
        self.is_live = False
        self._held_until = 0.0
        if last_event_id >= self._position:
            self._start = self._position = last_event_id
        self._replay = Replay(last_event_id, self._start, self._position)
        self._position = last_event_id

    def _catch_up(self) -> None:
        """Send the next events from Postgres; live again when the feed has given out no others."""
        known = self._feed.position
        if self._replay is None and known <= self._position:
            self.is_live = True
            return
        since = None
        if self._replay is not None:
            since = self._log.clock() - timedelta(seconds=self._settings.event_retention_seconds)
        try:
            events = self._log.after(self.tenant_id, self._position, since)
        except SQLAlchemyError as error:
            self._pause(error)
            return
        self._announce_replay(events, known)
        for event in events:
            while self._queue:
                self._send(self._queue.popleft())
            if self.close_code is not None or not self._websocket.connected:
                return
            if event.type in self._types and not self._was_sent(event.id):
                self._send(OutgoingEvent(event).frame(shows_email=self._shows_email))
            self._position = event.id
        if len(events) < BATCH_ROWS:
            # what the feed knew before the read and the read did not show is no longer kept
            self._position = max(self._position, known)
            self._finish_replay()
            self.is_live = self._feed.position <= self._position

    def _was_sent(self, sequence: int) -> bool:
        replay = self._replay
        return replay is not None and replay.start < sequence <= replay.sent

    def _announce_replay(self, events: list[messages.Event], known: int) -> None:
        replay = self._replay
        if replay is None or replay.is_announced:
            return
        replay.is_announced = True
        first = events[0].id if events else known + 1
        is_complete = first <= replay.last_event_id + 1
        self._tell("resumed", {"last_event_id": replay.last_event_id, "is_complete": is_complete})

    def _finish_replay(self) -> None:
        replay = self._replay
        if replay is not None:
            self._start = min(replay.start, replay.last_event_id)
            self._position = max(self._position, replay.sent)
            self._replay = None

    def _pause(self, error: Exception) -> None:
        logger.warning("cannot read past events, trying again: %s", describe(error))
        self._signal.wait(RETRY_SECONDS)
        self._signal.clear()
