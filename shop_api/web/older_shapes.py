"""Answers in the shape of an older version of the API.

Belongs here: finding, by an operation's declared answer, the objects that a change is of, and
walking an answer back. Does not: the changes (kernel/api_versions.py).

An answer of the newest version is never parsed. One that is walked back is taken apart down to the
objects that have changed; every other value stays the text it was.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import msgspec
from marshmallow import Schema, fields

from shop_api.kernel.api_versions import (
    BY_NAME,
    NEWEST,
    OLDEST,
    VERSION_HEADER,
    VERSIONS,
    Change,
    Version,
    changes_of,
)
from shop_api.web.negotiation import VARIES
from shop_api.web.reply import JSON, Reply

_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[msgspec.Raw] | None)
_encoder = msgspec.json.Encoder(decimal_format="number")

MARKS = [VARIES, (VERSION_HEADER, NEWEST)]


@dataclass(frozen=True, slots=True)
class Place:
    """An object of an answer, or a list of such: its changes, newest first; the places in it."""

    changes: tuple[tuple[str, Change], ...]
    inner: Mapping[str, "Place"]

    def versions(self) -> Iterator[str]:
        """Those that changed something here or further in."""
        yield from (version for version, _ in self.changes)
        for place in self.inner.values():
            yield from place.versions()


@dataclass(frozen=True, slots=True)
class OlderShapes:
    """The shapes an operation's answers had."""

    place: Place

    def older_versions(self) -> list[Version]:
        """The versions whose answers are not as the newest has them."""
        last = max(self.place.versions())
        return [version for version in VERSIONS if version.name < last]

    @staticmethod
    def mark(reply: Reply) -> Reply:
        """An answer as the application made it, told to be of the newest version."""
        return replace(reply, headers=[*reply.headers, *MARKS])

    def back(self, reply: Reply, asked: str) -> Reply:
        """A marked answer as the version asked for has it, if it is of a newer one."""
        made = next((value for name, value in reply.headers if name == VERSION_HEADER), OLDEST)
        if asked >= made or reply.content_type != JSON:
            return reply
        if reply.parts is not None:
            raise RuntimeError("an answer that is streamed cannot be walked back")
        version = BY_NAME[asked]
        headers = [header for header in reply.headers if header[0] != VERSION_HEADER]
        return replace(
            reply,
            body=bytes(walk_back(msgspec.Raw(reply.body), self.place, asked, made)),
            headers=[*headers, (VERSION_HEADER, asked)],
            content_type=version.media_type,
        )


def walk_back(text: msgspec.Raw, place: Place, asked: str, made: str = NEWEST) -> msgspec.Raw:
    """JSON text of the version `made` as `asked` has it."""
    found = _decoder.decode(text)
    if found is None:
        return text
    if isinstance(found, list):
        return msgspec.Raw(_encoder.encode([walk_back(one, place, asked, made) for one in found]))
    for name, inner in place.inner.items():
        if name in found:
            found[name] = walk_back(found[name], inner, asked, made)
    for version, change in place.changes:
        if asked < version <= made:
            found = change.undo(found)
    return msgspec.Raw(_encoder.encode(found))


def older_shapes(returns: Any) -> OlderShapes | None:
    """The older shapes of an operation that answers so; None when all versions answer the same, as
    what has no schema does."""
    is_schema = isinstance(returns, type) and issubclass(returns, Schema)
    return _shapes_of(returns) if is_schema else None


@cache
def _shapes_of(schema: type[Schema]) -> OlderShapes | None:
    place = place_of(schema())
    return None if place is None else OlderShapes(place)


def resource_name(schema: type[Schema]) -> str:
    """A schema's name in the reference."""
    return schema.__name__.removesuffix("Schema")


def place_of(schema: Schema) -> Place | None:
    """What has changed of a schema's objects; None: nothing."""
    changes = changes_of(resource_name(type(schema)))
    inner = {
        field.data_key or name: place
        for name, field in schema.fields.items()
        if (place := _place_in(field)) is not None
    }
    return Place(changes, inner) if changes or inner else None


def _place_in(field: Any) -> Place | None:
    while isinstance(field, fields.List):
        field = field.inner
    if isinstance(field, fields.Dict) and _place_in(field.value_field) is not None:
        raise RuntimeError("objects by free names cannot be walked back")
    return place_of(field.schema) if isinstance(field, fields.Nested) else None
