"""Naming the value that Postgres refused: it says which rule was broken, the body what broke it.

Belongs here: finding the value in the body. Does not: the sentences (domains' errors), which
constraint means which (db/constraints.py).
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from shop_api.kernel.errors import DomainError, FieldError


def with_value(error: DomainError, body: Any) -> DomainError:
    """The refusal with the value of the field that it is about, and where in the body it is.

    Where several fields of the body have that name, nobody knows which of them was meant.
    """
    if len(error.errors) != 1 or not isinstance(body, dict):
        return error
    name = error.errors[0].pointer.removeprefix("/")
    found = list(_values(body, name, ""))
    if len(found) == 1:
        pointer, value = found[0]
        detail = f"{error.detail.removesuffix('.')}: {value}."
        return DomainError(error.kind, error.code, detail, [FieldError(pointer, detail)])
    return error if name in body else DomainError(error.kind, error.code, error.detail)


def _values(value: Any, name: str, pointer: str) -> Iterator[tuple[str, str | UUID]]:
    """Texts and ids under `name`, wherever in the body."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if isinstance(inner, dict | list):
            yield from _values(inner, name, f"{pointer}/{key}")
        elif key == name and isinstance(inner, str | UUID):
            yield f"{pointer}/{key}", inner
