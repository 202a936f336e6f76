"""Older versions in the OpenAPI document: what their answers look like.

Belongs here: the media types of an operation's older answers, and their schemas, made from the
newest by the changes. Does not: the page that tells the changes (version_page.py).
"""

import json
import re
from typing import Any

from marshmallow import Schema

from shop_api.kernel.api_versions import VERSIONS, Version
from shop_api.web.older_shapes import OlderShapes, resource_name

_REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')


def older_contents(returns: type[Schema], shapes: OlderShapes) -> dict[str, Any]:
    """The answer of an operation by the media types of the versions that have it otherwise."""
    name = resource_name(returns)
    return {
        version.media_type: {"schema": {"$ref": f"#/components/schemas/{_older(name, version)}"}}
        for version in shapes.older_versions()
    }


def add_older_schemas(schemas: dict[str, dict[str, Any]]) -> None:
    """Put beside the document's schemas those of older versions, where they are others."""
    texts = {name: json.dumps(schema) for name, schema in schemas.items()}
    references = {name: set(_REFERENCE.findall(text)) for name, text in texts.items()}
    for version in VERSIONS[:-1]:
        undone = [
            change
            for later in reversed(VERSIONS)
            if later.name > version.name
            for change in reversed(later.changes)
        ]
        touched = _with_those_that_hold({change.resource for change in undone}, references)
        older = {name: json.loads(texts[name]) for name in touched}
        for change in undone:
            older[change.resource] = change.undo_schema(older[change.resource])
        for name, schema in older.items():
            schemas[_older(name, version)] = _refer_to_older(schema, version, touched)


def _refer_to_older(schema: dict[str, Any], version: Version, touched: set[str]) -> dict[str, Any]:
    def referring(found: re.Match[str]) -> str:
        name = found.group(1)
        return f'"#/components/schemas/{_older(name, version) if name in touched else name}"'

    older: dict[str, Any] = json.loads(_REFERENCE.sub(referring, json.dumps(schema)))
    return older


def _with_those_that_hold(names: set[str], references: dict[str, set[str]]) -> set[str]:
    """The names with all that refer to one of them, directly or not."""
    while True:
        more = names | {name for name, found in references.items() if found & names}
        if more == names:
            return names
        names = more


def _older(name: str, version: Version) -> str:
    return f"{name}-{version.name}"
