"""What travels over a socket: events out, requests in, and the frames they are sent as.

Belongs here: forms and the rules of who sees what. Does not: connections and their state.
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from wsproto.frame_protocol import FrameProtocol

from shop_api.kernel.clock import format_instant
from shop_api.metrics.definitions import websocket_messages_sent

# Event types that are pushed, and the scope each needs. Other events (batches of an import, …) are
# part of a tenant's sequence but never leave the spine.
EVENT_SCOPES: dict[str, str | None] = {
    "order_created": "orders:read",
    "order_status_changed": "orders:read",
    "order_refunded": "orders:read",
    "product_created": "catalog:read",
    "product_updated": "catalog:read",
    "product_deleted": "catalog:read",
    "inventory_updated": "inventory:read",
    "dashboard_metrics_updated": "analytics:read",
    "report_ready": "reports:read",
    "import_finished": "jobs:read",
    "system_notification": None,
}

# The scope without which nobody listens at all.
LISTEN_SCOPE = "events:read"
EMAIL_SCOPE = "customers:read"
EMAIL_FIELD = "customer_email"

MESSAGE_LIMIT_BYTES = 512


class Event(msgspec.Struct):
    """One event of a tenant; `data` is JSON as Postgres wrote it."""

    id: int
    type: str
    data: msgspec.Raw
    timestamp: str


_published = msgspec.json.Decoder(Event)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder(decimal_format="number")
_server_frames = FrameProtocol(client=False, extensions=[])


def decode_published(message: bytes) -> Event:
    """An event as the relay published it."""
    return _published.decode(message)


class Frame:
    """A WebSocket text frame of a message; a server's are the same for every connection."""

    __slots__ = ("data", "sent")

    def __init__(self, type_: str, payload: bytes) -> None:
        self.data = bytes(_server_frames.send_data(payload.decode(), fin=True))
        # counts those that are sent
        self.sent = websocket_messages_sent.labels(type_)


def control_frame(type_: str, data: dict[str, Any], now: datetime, id_: int | None = None) -> Frame:
    """A frame about the connection itself, in the envelope every message has."""
    envelope = {"id": id_, "type": type_, "data": data, "timestamp": format_instant(now)}
    return Frame(type_, _encoder.encode(envelope))


class OutgoingEvent:
    """An event with its frames, each made once however many connections send it."""

    __slots__ = ("_full", "_without_email", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._full: Frame | None = None
        self._without_email: Frame | None = None

    def frame(self, *, shows_email: bool) -> Frame:
        """The frame for a listener who may, or may not, see customers' e-mail addresses."""
        if shows_email:
            if self._full is None:
                self._full = Frame(self.event.type, _encoder.encode(self.event))
            return self._full
        if self._without_email is None:
            shown = _without_email(self.event)
            self._without_email = Frame(shown.type, _encoder.encode(shown))
        return self._without_email


def _without_email(event: Event) -> Event:
    fields = _fields.decode(event.data)
    if EMAIL_FIELD not in fields:
        return event
    del fields[EMAIL_FIELD]
    return Event(event.id, event.type, msgspec.Raw(_encoder.encode(fields)), event.timestamp)


def visible_types(scopes: frozenset[str]) -> frozenset[str]:
    """The event types a listener with these scopes may receive."""
    return frozenset(
        type_ for type_, scope in EVENT_SCOPES.items() if scope is None or scope in scopes
    )


class Ping(msgspec.Struct, tag="ping", tag_field="type", forbid_unknown_fields=True):
    """Answered with `pong`."""


class Subscribe(msgspec.Struct, tag="subscribe", tag_field="type", forbid_unknown_fields=True):
    """Add these event types; without `types`, all that the scopes allow."""

    types: list[str] | None = None


class Unsubscribe(msgspec.Struct, tag="unsubscribe", tag_field="type", forbid_unknown_fields=True):
    """Drop these event types; without `types`, all."""

    types: list[str] | None = None


class Resume(msgspec.Struct, tag="resume", tag_field="type", forbid_unknown_fields=True):
    """Replay what came after this event."""

    last_event_id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


Request = Ping | Subscribe | Unsubscribe | Resume
_requests = msgspec.json.Decoder(Request)


def decode_request(message: str) -> Request:
    """A client's message; raises msgspec.DecodeError with a sentence the client can act on."""
    request: Request = _requests.decode(message)
    return request
