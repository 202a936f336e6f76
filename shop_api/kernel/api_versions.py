"""The dated versions of the API, and what each changed of the one before.

Belongs here: versions and changes, as data and pure functions of one object. Does not: reading
which version is asked for (gateway/bounds.py), finding an answer's objects (web/older_shapes.py).

The application speaks the newest version alone. An answer to a client of an older one is walked
back, change by change, from the newest on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from shop_api.kernel.deprecation import Deprecation

MEDIA_TYPE = "application/vnd.shop.v1+json"
# in an answer that differs between versions: which one it is of
VERSION_HEADER = "Shop-Version"

# An object's fields by name, in their order. The values of an answer are JSON text, which passes
# as it is: a change that only moves them keeps every digit.
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What a version changed of one resource."""

    # as the reference names it
    resource: str
    summary: str
    # an object of the version as the one before had it; and its JSON schema
    undo: Callable[[Fields], Fields]
    undo_schema: Callable[[Mapping[str, Any]], dict[str, Any]]


def renamed(resource: str, old: str, new: str, reason: str) -> Change:
    """A field that has another name since, in the same place with the same value."""

    def undo(fields: Fields) -> Fields:
        return {old if name == new else name: value for name, value in fields.items()}

    def undo_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
        properties = undo(schema["properties"])
        properties[old] = {**properties[old], "deprecated": True}
        required = [old if name == new else name for name in schema.get("required", [])]
        return {**schema, "properties": properties, "required": required}

    return Change(resource, f"`{old}` is `{new}`: {reason}", undo, undo_schema)


@dataclass(frozen=True, slots=True)
class Version:
    """The API as of a day."""

    released_on: date
    changes: tuple[Change, ...] = ()
    # of a version that has a successor: until when it is answered at least
    sunset_on: date | None = None

    @property
    def name(self) -> str:
        """As clients write it. Names sort as their days do."""
        return self.released_on.isoformat()

    @property
    def media_type(self) -> str:
        """What asks for it, and what an answer of it is where a newer one would be another."""
        return f"{MEDIA_TYPE}; version={self.name}"


# oldest first
VERSIONS = (
    Version(date(2026, 11, 1), sunset_on=date(2027, 12, 1)),
    Version(
        date(2026, 11, 27),
        (
            renamed(
                "Order",
                "tax_included",
                "prices_include_tax",
                "the tenant's field that decides it has that name.",
            ),
            renamed(
                "OrderLine",
                "refunded_amount",
                "refunded_total",
                "a line's sums are named as the order's are.",
            ),
            renamed(
                "CategorySales",
                "products",
                "product_count",
                "it is a number; `products` is a list or an object elsewhere.",
            ),
        ),
    ),
)
BY_NAME = {version.name: version for version in VERSIONS}
OLDEST, NEWEST = VERSIONS[0].name, VERSIONS[-1].name

DEPRECATIONS = {
    version.name: Deprecation(successor.released_on, version.sunset_on, version.name)
    for version, successor in pairwise(VERSIONS)
    if version.sunset_on is not None
}


def changes_of(resource: str) -> tuple[tuple[str, Change], ...]:
    """The changes of a resource with the names of their versions, newest first."""
    return tuple(
        (version.name, change)
        for version in reversed(VERSIONS)
        for change in reversed(version.changes)
        if change.resource == resource
    )
