"""Messages as the bytes that a transport sends, each made once however many listeners get it.

Belongs here: the WebSocket frame, the block of an event stream, and what of an event is left out of
them. Does not: sending them (connection.py), who wants which (interest.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from wsproto.frame_protocol import FrameProtocol

from shop_api.metrics.definitions import sse_events_sent, websocket_messages_sent
from shop_api.realtime.messages import (
    EMAIL_FIELD,
    Event,
    encode_envelope,
    encode_note,
)

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()
# a server's frames are the same for every connection
_server_frames = FrameProtocol(client=False, extensions=[])


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """How a transport writes messages: of type, id and JSON text; and who counts those it sent.

    Each is itself alone: it is looked up for every listener of an event.
    """

    write: Callable[[str, int | None, bytes], bytes]
    count: Callable[[str], Any]


def _websocket_frame(_type: str, _id: int | None, payload: bytes) -> bytes:
    return bytes(_server_frames.send_data(payload.decode(), fin=True))


def _stream_block(type_: str, id_: int | None, payload: bytes) -> bytes:
    """The whole envelope as data. JSON holds no line break."""
    named = b"" if id_ is None else b"id: %d\n" % id_
    return b"%sevent: %s\ndata: %s\n\n" % (named, type_.encode(), payload)


WEBSOCKET = Form(_websocket_frame, websocket_messages_sent.labels)
EVENT_STREAM = Form(_stream_block, lambda _: sse_events_sent)


class Frame:
    """A message as it is sent."""

    __slots__ = ("data", "sent")

    def __init__(self, form: Form, type_: str, id_: int | None, payload: bytes) -> None:
        self.data = form.write(type_, id_, payload)
        # counts those that are sent
        self.sent = form.count(type_)


def note_frame(form: Form, type_: str, data: Any, now: datetime, id_: int | None = None) -> Frame:
    """A message about the connection itself."""
    return Frame(form, type_, id_, encode_note(type_, data, now, id_))


class _Subject(msgspec.Struct):
    """What an event is about, as far as listeners choose by it."""

    product_id: Any = None
    order_id: Any = None


_subjects = msgspec.json.Decoder(_Subject)


class OutgoingEvent:
    """An event with its frames."""

    __slots__ = ("_frames", "_subject", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._frames: dict[tuple[Form, bool], Frame] = {}
        self._subject: _Subject | None = None

    @property
    def subject(self) -> _Subject:
        """The product or order it is about; read when the first listener asks."""
        if self._subject is None:
            self._subject = _subjects.decode(self.event.data)
        return self._subject

    def frame(self, form: Form, *, shows_email: bool) -> Frame:
        """The frame for a listener who may, or may not, see customers' e-mail addresses."""
        frame = self._frames.get((form, shows_email))
        if frame is None:
            shown = self.event if shows_email else _without_email(self.event)
            frame = Frame(form, shown.type, shown.id, encode_envelope(shown))
            self._frames[form, shows_email] = frame
        return frame


def _without_email(event: Event) -> Event:
    fields = _fields.decode(event.data)
    if EMAIL_FIELD not in fields:
        return event
    del fields[EMAIL_FIELD]
    return Event(event.id, event.type, msgspec.Raw(_encoder.encode(fields)), event.timestamp)
