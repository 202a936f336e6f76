"""Where in a mapping something is wrong: the key it is at, and the key's line.

Belongs here: from a refusal to a place in the text. Does not: what is refused (mapping.py).
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

# a value of the mapping: its keys from the top, the value, and the type it must have
Part = tuple[tuple[str, ...], Any, Any]

# msgspec's own place, in which keys of tables are `[...]`
_PLACE = re.compile(r" - at `\$([^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`$")


def shape_problem(error: msgspec.ValidationError, parts: Iterable[Part], text: str) -> str:
    """What msgspec refused, at the first of `parts` that has the wrong shape."""
    for keys, value, kind in parts:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as inner:
            return _told(inner, keys, text)
    return _told(error, (), text)


def _told(error: msgspec.ValidationError, keys: tuple[str, ...], text: str) -> str:
    said = str(error)
    inner = _PLACE.search(said)
    keys += tuple(key for key in inner[1].split(".") if key) if inner else ()
    said = _PLACE.sub("", said)
    place = f"{'.'.join(keys)}: " if keys else ""
    unknown = _UNKNOWN.search(said)
    return f"{place}{said}{in_line(text, (*keys, unknown[1]) if unknown else keys)}"


def in_line(text: str, keys: tuple[str, ...]) -> str:
    """` (line 3)`, the line of the last of `keys` that `text` has; nothing when it has none."""
    node, line = yaml.compose(text, Loader=yaml.SafeLoader), None
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = [pair for pair in pairs if pair[0].value == key]
        if not found:
            break
        line, node = found[0][0].start_mark.line + 1, found[0][1]
    return "" if line is None else f" (line {line})"
