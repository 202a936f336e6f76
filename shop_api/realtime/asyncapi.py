"""The AsyncAPI 3 document of the events: what the hub sends and takes, over both transports.

Belongs here: putting it together. Does not: what events and messages say (spine/event_types.py,
messages.py), serving it (web/reference.py). Imported by the api: no gevent here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from shop_api.realtime.messages import (
    CHOSEN_LIMIT,
    LISTEN_SCOPE,
    MESSAGE_LIMIT_BYTES,
    NOTES,
    REQUESTS,
)
from shop_api.spine.event_types import EVENT_TYPES

DESCRIPTION = f"""
A tenant's events, in order and each once, over a WebSocket or as server-sent events: the same on
both. A credential with the scope `{LISTEN_SCOPE}` hears those event types whose scope it has
(`x-scope`). Every message has the envelope `id, type, data, timestamp`; who comes back and names
the last `id` gets what was missed, as long as it is kept (24 hours by default). Amounts are JSON
numbers with exactly the currency's digits; times are RFC 3339 in UTC; ids are UUIDs. Fields may be
added to `data`.
"""
SCHEMAS = "#/components/schemas/"
MESSAGES = "#/components/messages/"
SECURITY = "#/components/securitySchemes/"
TIMESTAMP = {"type": "string", "format": "date-time", "description": "When it was recorded."}
AN_INSTANT = "2026-03-01T12:00:00.123456Z"
AN_ID = 42
# the notes whose `id` says where the stream stands
PLACED = ("connected", "reset")
# what each request is answered with, besides `error`
ANSWERS = {
    "ping": ("pong",),
    "subscribe": ("subscribed",),
    "unsubscribe": ("subscribed",),
    "resume": ("resumed", "reset"),
}
# A WebSocket's requests, and what only they are answered with.
REQUESTED_ONLY = ("subscribed", "pong", "error")

Document = dict[str, Any]


def make_events_document() -> Document:
    """The document, which is the same wherever it is served."""
    structs = [*(known.data for known in EVENT_TYPES.values()), *NOTES.values(), *REQUESTS]
    _, schemas = msgspec.json.schema_components(structs, ref_template=SCHEMAS + "{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "shop-api events",
            "version": "1",
            "description": DESCRIPTION.strip().replace("\n", " "),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "websocket": _server("ws", "The realtime process, for WebSockets.", ["ticket"]),
            "sse": _server("http", "The same, for event streams.", ["bearer", "ticket"]),
        },
        "channels": {
            "websocket": _websocket_channel(),
            "eventStream": _channel(
                "/events",
                "sse",
                "Server-sent events: `id`, `event` (the type) and `data` (the whole envelope).",
                [*EVENT_TYPES, *(name for name in NOTES if name not in REQUESTED_ONLY)],
            ),
        },
        "operations": _operations(),
        "components": {
            "schemas": schemas,
            "messages": dict([*_events(), *_notes(), *_requests()]),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A secret key `sk_…` or an access token.",
                },
                "ticket": {
                    "type": "httpApiKey",
                    "in": "query",
                    "name": "ticket",
                    "description": "From `POST /api/v1/realtime/tickets`; it opens one connection.",
                },
            },
        },
    }


def _server(protocol: str, description: str, schemes: list[str]) -> Document:
    return {
        "host": "{host}:{port}",
        "protocol": protocol,
        "description": description,
        "variables": {
            "host": {"default": "127.0.0.1", "description": "SHOP_HOST, or the proxy before it."},
            "port": {"default": "8001", "description": "SHOP_REALTIME_PORT."},
        },
        "security": [{"$ref": SECURITY + name} for name in schemes],
    }


def _channel(address: str, server: str, description: str, messages: Iterable[str]) -> Document:
    return {
        "address": address,
        "description": description,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {name: {"$ref": MESSAGES + name} for name in messages},
    }


def _websocket_channel() -> Document:
    names = [*EVENT_TYPES, *NOTES, *ANSWERS]
    about = f"One JSON object per message; a client's have at most {MESSAGE_LIMIT_BYTES} bytes."
    ticket = {"type": "object", "required": ["ticket"], "properties": {"ticket": _text("Once.")}}
    return {
        **_channel("/ws", "websocket", about, names),
        "bindings": {"ws": {"method": "GET", "query": ticket, "bindingVersion": "0.1.0"}},
    }


def _operations() -> Document:
    """As AsyncAPI has it, of the server: it sends events, and receives requests."""
    found = {
        "sendEvents": {
            "action": "send",
            "channel": {"$ref": "#/channels/websocket"},
            "summary": "Everything that happens, from the connection on.",
            "messages": _of_channel("websocket", [*EVENT_TYPES, *NOTES]),
        },
        "streamEvents": {
            "action": "send",
            "channel": {"$ref": "#/channels/eventStream"},
            "summary": "The same, chosen by query parameters.",
            "bindings": {"http": {"method": "GET", "query": _query(), "bindingVersion": "0.3.0"}},
        },
    }
    for name, answers in ANSWERS.items():
        found[f"receive{name.title()}"] = {
            "action": "receive",
            "channel": {"$ref": "#/channels/websocket"},
            "messages": _of_channel("websocket", [name]),
            "reply": {
                "channel": {"$ref": "#/channels/websocket"},
                "messages": _of_channel("websocket", [*answers, "error"]),
            },
        }
    return found


def _of_channel(channel: str, names: Iterable[str]) -> list[Document]:
    return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names]


def _query() -> Document:
    chosen = f"separated by commas, at most {CHOSEN_LIMIT}."
    return {
        "type": "object",
        "properties": {
            "ticket": _text("In place of a bearer."),
            "last_event_id": {
                "type": "integer",
                "minimum": 0,
                "description": "Resume after this event; the header Last-Event-ID goes before it.",
            },
            "types": _text("Only these event types, separated by commas."),
            "products": _text(f"Of events about a product only those of these ids, {chosen}"),
            "orders": _text(f"Of events about an order only those of these ids, {chosen}"),
        },
    }


def _text(description: str) -> Document:
    return {"type": "string", "description": description}


def _events() -> Iterable[tuple[str, Document]]:
    for name, known in EVENT_TYPES.items():
        number: Document = {"type": "integer", "minimum": 1}
        if known.passes:
            number["type"] = ["integer", "null"]
        message = _message(name, known.data, number)
        message["x-scope"] = known.scope
        envelope = {"id": AN_ID, "type": name, "data": known.example, "timestamp": AN_INSTANT}
        message["examples"] = [{"payload": envelope}]
        yield name, message


def _notes() -> Iterable[tuple[str, Document]]:
    for name, struct in NOTES.items():
        is_placed = name in PLACED
        yield name, _message(name, struct, {"type": "integer" if is_placed else "null"})


def _message(name: str, struct: type[msgspec.Struct], id_: Mapping[str, Any]) -> Document:
    return {
        "name": name,
        "title": struct.__name__,
        "summary": _summary(struct),
        "payload": {
            "type": "object",
            "required": ["id", "type", "data", "timestamp"],
            "properties": {
                "id": {**id_, "description": "The tenant's event; it grows from one to the next."},
                "type": {"const": name},
                "data": {"$ref": SCHEMAS + struct.__name__},
                "timestamp": TIMESTAMP,
            },
        },
    }


def _requests() -> Iterable[tuple[str, Document]]:
    for struct in REQUESTS:
        name = str(struct.__struct_config__.tag)
        yield (
            name,
            {
                "name": name,
                "title": struct.__name__,
                "summary": _summary(struct),
                "payload": {"$ref": SCHEMAS + struct.__name__},
            },
        )


def _summary(struct: type[msgspec.Struct]) -> str:
    return " ".join((struct.__doc__ or "").split())
