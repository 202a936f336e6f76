"""What travels between listener and hub: events and notes out, requests in.

Belongs here: their forms, as msgspec reads and writes them; the AsyncAPI document is made of them
(asyncapi.py). Does not: what events there are (spine/event_types.py), the bytes of a transport
(frames.py), connections and their state. Imported by the api too: no gevent here.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from shop_api.kernel.clock import format_instant

# The scope without which nobody listens at all.
LISTEN_SCOPE = "events:read"
EMAIL_SCOPE = "customers:read"
EMAIL_FIELD = "customer_email"

MESSAGE_LIMIT_BYTES = 512
# Products, and orders, that one listener can choose.
CHOSEN_LIMIT = 100


class Event(Struct):
    """One event of a tenant; `data` is JSON as Postgres wrote it.

    A message that passes (spine/passing.py) has the same form and no id.
    """

    id: int | None
    type: str
    data: msgspec.Raw
    timestamp: str

    @property
    def sequence(self) -> int:
        """Its place among the tenant's events."""
        assert self.id is not None, "what passes has no place in the order"
        return self.id


_published = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode_published(message: bytes) -> Event:
    """An event as the relay published it, or what passes."""
    return _published.decode(message)


def encode_envelope(event: Event) -> bytes:
    """An event as listeners read it."""
    return _encoder.encode(event)


def encode_note(type_: str, data: Any, now: datetime, id_: int | None = None) -> bytes:
    """A message about the connection itself, in the envelope every message has."""
    envelope = {"id": id_, "type": type_, "data": data, "timestamp": format_instant(now)}
    return _encoder.encode(envelope)


# what the hub says about the connection

LastEventId = Annotated[int, Meta(description="The event that was named.", ge=0)]
ChosenIds = Annotated[
    list[str] | None, Meta(description="The ids chosen; null where all of them are wanted.")
]


class Connected(Struct):
    """The connection is open: everything after its `id` will arrive."""

    connection_id: Annotated[UUID, Meta(description="Names the connection, in logs too.")]
    tenant_id: Annotated[UUID, Meta(description="Whose events it hears.")]


class Resumed(Struct):
    """What was missed follows, all of it, and then what happens."""

    last_event_id: LastEventId


class Reset(Struct):
    """Nothing between `last_event_id` and this message's `id` will come: read the resources anew.
    The stream goes on after its `id`."""

    last_event_id: LastEventId
    reason: Annotated[
        Literal["expired", "unknown_event"],
        Meta(
            description="`expired`: events after it are no longer kept. `unknown_event`: the shop"
            " has no such event yet, as when it was restored from a backup."
        ),
    ]


class Subscribed(Struct):
    """What is wanted from now on."""

    types: Annotated[list[str], Meta(description="The event types that are on.")]
    products: ChosenIds
    orders: ChosenIds


class Pong(Struct):
    """The answer to `ping`."""


class Error(Struct):
    """What is wrong with a message; the connection stays."""

    code: Annotated[str, Meta(description="Stable; decide on this.")]
    detail: Annotated[str, Meta(description="A sentence for people.")]


NOTES: dict[str, type[Struct]] = {
    "connected": Connected,
    "resumed": Resumed,
    "reset": Reset,
    "subscribed": Subscribed,
    "pong": Pong,
    "error": Error,
}


# what a client may say

Types = Annotated[list[str] | None, Meta(description="Event types.")]
Products = Annotated[
    list[UUID] | None, Meta(description="Products: of events about a product, only of these.")
]
Orders = Annotated[
    list[UUID] | None, Meta(description="Orders: of events about an order, only of these.")
]


class Ping(Struct, tag="ping", tag_field="type", forbid_unknown_fields=True):
    """Answered with `pong`."""


class Subscribe(Struct, tag="subscribe", tag_field="type", forbid_unknown_fields=True):
    """Add these types, products and orders; with none of them, want all there is as at the start.

    The first product named turns away events about all others, the first order likewise.
    """

    types: Types = None
    products: Products = None
    orders: Orders = None


class Unsubscribe(Struct, tag="unsubscribe", tag_field="type", forbid_unknown_fields=True):
    """Drop these types, products and orders; with none of them, want nothing at all."""

    types: Types = None
    products: Products = None
    orders: Orders = None


class Resume(Struct, tag="resume", tag_field="type", forbid_unknown_fields=True):
    """Replay what came after this event."""

    last_event_id: Annotated[
        int, Meta(description="The `id` of the last event handled.", ge=0, le=2**63 - 1)
    ]


Request = Ping | Subscribe | Unsubscribe | Resume
REQUESTS: tuple[type[Struct], ...] = (Ping, Subscribe, Unsubscribe, Resume)
_requests = msgspec.json.Decoder(Request)


def decode_request(message: str) -> Request:
    """A client's message; raises msgspec.DecodeError with a sentence the client can act on."""
    request: Request = _requests.decode(message)
    return request
