"""One listener: what it wants, how far it has come, and the one greenlet that writes to it.

Belongs here: queue, replay, pulse and close of a connection, whatever it is sent over. Does not:
which events there are (feed.py), the transports (websocket.py, event_stream.py), what is wanted
(interest.py).

A connection is either live, and then the feed queues events for it, or behind, and then the writer
reads them from Postgres until it has caught up with the feed. It starts behind, for as long as a
client may take to resume, so that the past comes before the present; it falls behind when its queue
is full.
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

from shop_api.db.outages import describe
from shop_api.kernel.errors import DomainError
from shop_api.kernel.principal import Principal
from shop_api.realtime import messages
from shop_api.realtime.actors import Standings, admit
from shop_api.realtime.event_log import BATCH_ROWS, EventLog
from shop_api.realtime.frames import Frame, OutgoingEvent, note_frame
from shop_api.realtime.interest import Interest
from shop_api.realtime.transport import Transport
from shop_api.settings import Settings

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
    """A listener of one tenant; `last_event_id` when it asked to resume as it connected."""

    def __init__(
        self,
        id_: UUID,
        principal: Principal,
        transport: Transport,
        interest: Interest,
        log: EventLog,
        feed: Positioned,
        settings: Settings,
        last_event_id: int | None = None,
    ) -> None:
        now = time.monotonic()
        self.id = id_
        self.principal = principal
        self.tenant_id = principal.tenant_id
        self._transport = transport
        self._interest = interest
        self._log = log
        self._feed = feed
        self._settings = settings
        self._shows_email = messages.EMAIL_SCOPE in principal.scopes
        self._queue: deque[Frame] = deque()
        self._signal = Signal()
        # the writer has nothing to do, and waits
        self._is_resting = False
        # events up to here were sent, queued or not wanted
        self._position = feed.position
        # the client was told of this position when it connected, or has resumed from it since
        self._start = feed.position
        self._requested_resume = last_event_id
        self._replay: Replay | None = None
        self.is_live = False
        self._full_since = now
        self._held_until = now + transport.resume_window_seconds
        self._next_pulse = now + transport.pulse_seconds
        self._is_detached = False
        self.close_code: int | None = None
        self._close_reason = ""
        # who breaks off after the greeting must not take what it asked for as handled
        self._tell(
            "connected",
            {"connection_id": id_, "tenant_id": principal.tenant_id},
            self._start if last_event_id is None else last_event_id,
        )

    # what the feed and the hub call; none of these waits

    def offer(self, outgoing: OutgoingEvent) -> None:
        """Queue a live event, if it is wanted; with a full queue the connection falls behind."""
        sequence = outgoing.event.sequence
        if not self.is_live or sequence <= self._position:
            return
        if self._interest.wants(outgoing):
            if len(self._queue) >= self._transport.queue_length:
                self.is_live = False
                self._full_since = time.monotonic()
                return
            self._hand_over(self._frame(outgoing))
        self._position = sequence

    def offer_passing(self, outgoing: OutgoingEvent) -> None:
        """Queue what passes, if it is wanted and there is room: the next one says as much."""
        has_room = len(self._queue) < self._transport.queue_length
        if self.is_live and has_room and self._interest.wants(outgoing):
            self._hand_over(self._frame(outgoing))

    def _hand_over(self, frame: Frame) -> None:
        """Give a frame to the system while the writer rests, else to the writer.

        To wake the writer costs four times as much as the send, of each listener of an event.
        """
        is_idle = self._is_resting and not self._queue and self.close_code is None
        if is_idle and self._transport.send_at_once(frame.data):
            frame.sent.inc()
        else:
            self._queue.append(frame)
            self._signal.set()

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
        gevent.spawn_later(linger, self._transport.abort)

    def check_progress(self, now: float) -> None:
        """Close a client that takes nothing: at once when behind, else when it counts as dead."""
        since = self._transport.sending_since
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
        self._transport.abort()

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
            case messages.Subscribe(types, products, orders):
                self._subscribe(types, products, orders)
            case messages.Unsubscribe(types, products, orders):
                self._interest.drop(types, products, orders)
                self._tell("subscribed", self._interest.tell())
            case messages.Resume(last_event_id):
                self._ask_resume(last_event_id)

    def _subscribe(
        self, types: list[str] | None, products: list[UUID] | None, orders: list[UUID] | None
    ) -> None:
        try:
            self._interest.add(types, products, orders)
        except DomainError as error:
            self._refuse(error.code, error.detail)
        else:
            self._tell("subscribed", self._interest.tell())

    def _ask_resume(self, last_event_id: int) -> None:
        if self._replay is not None or self._requested_resume is not None:
            self._refuse("resume_in_progress", "A resume is still being answered.")
            return
        self._requested_resume = last_event_id
        self._signal.set()

    def _refuse(self, code: str, detail: str) -> None:
        self._tell("error", {"code": code, "detail": detail})

    def _tell(self, type_: str, data: dict[str, Any], id_: int | None = None) -> None:
        """Queue a message about the connection; a client that asks more than it reads is closed."""
        if self.close_code is not None:
            return
        if len(self._queue) >= self._transport.queue_length:
            self.close(CLOSE_TRY_AGAIN, "too slow, resume later")
            return
        frame = note_frame(self._transport.form, type_, data, self._log.clock(), id_)
        self._queue.append(frame)
        self._signal.set()

    # the writer

    def write(self) -> None:
        """The connection's one writer: runs until the connection is over."""
        try:
            while not self._is_detached and self._transport.is_open:
                self._write_next()
        except OSError as error:
            logger.debug("connection %s broke: %s", self.id, error)
            self._transport.abort()
        except Exception:
            logger.exception("the writer of connection %s failed", self.id)
            self._transport.abort()

    def _write_next(self) -> None:
        if self.close_code is not None:
            self._transport.close(self.close_code, self._close_reason)
            return
        now = time.monotonic()
        if self._queue:
            self._send(self._queue.popleft())
        elif self._requested_resume is not None:
            self._begin_replay(self._requested_resume)
        elif not self.is_live and now >= self._held_until:
            self._catch_up()
        else:
            self._is_resting = True
            self._signal.wait(max(0.0, self._next_check() - now))
            self._is_resting = False
            self._signal.clear()
        self._check_pulse(time.monotonic())

    def _send(self, frame: Frame) -> None:
        self._transport.send(frame.data)
        frame.sent.inc()

    def _frame(self, outgoing: OutgoingEvent) -> Frame:
        return outgoing.frame(self._transport.form, shows_email=self._shows_email)

    def _next_check(self) -> float:
        due = min(self._next_pulse, self._transport.dead_at)
        return due if self.is_live else min(due, self._held_until)

    def _check_pulse(self, now: float) -> None:
        if now >= self._transport.dead_at:
            self.close(CLOSE_IDLE, "no sign of life")
        elif now >= self._next_pulse and self._transport.is_open:
            self._next_pulse = now + self._transport.pulse_seconds
            has_all = self.is_live and not self._queue
            self._transport.send_pulse(self._position if has_all else None)

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
            # all up to the position was sent, or was before this connection
            self._reset("unknown_event", last_event_id, self._position)
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
        if self._replay is not None and not self._replay.is_announced:
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
            if self.close_code is not None or not self._transport.is_open:
                return
            outgoing = OutgoingEvent(event)
            if self._interest.wants(outgoing) and not self._was_sent(event.sequence):
                self._send(self._frame(outgoing))
            self._position = event.sequence
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
        first = events[0].sequence if events else known + 1
        if first <= replay.last_event_id + 1:
            self._tell("resumed", {"last_event_id": replay.last_event_id})
        else:
            self._reset("expired", replay.last_event_id, first - 1)

    def _reset(self, reason: str, last_event_id: int, position: int) -> None:
        self._tell("reset", {"last_event_id": last_event_id, "reason": reason}, position)

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
