"""Fields that an answer shows and a body does not take: what a body that sends one is told.

Belongs here: which they are, by the two schemas, and the sentence; what to do instead a field of an
answer says in its metadata, as `instead`. Does not: other refusals of a body (parser.py).
"""

from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema, fields

READ_ONLY = "Read-only here: leave it out."


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """The sentence for each read-only name of an object, and the same of the objects inside."""

    sentences: dict[str, str] = field(default_factory=dict)
    inside: dict[str, "ReadOnly"] = field(default_factory=dict)

    def tell(self, messages: Any) -> None:
        """In place of "Unknown field." say of what was shown that it is read-only, and what to do;
        `messages` as marshmallow nests them."""
        for name, found in messages.items():
            if name in self.sentences:
                messages[name] = [self.sentences[name]]
            elif name in self.inside and isinstance(found, dict):
                self.inside[name].tell(found)
            elif isinstance(name, int) and isinstance(found, dict):
                # of a list: each of its objects has these names
                self.tell(found)


NOTHING = ReadOnly()


def read_only(body: Schema, shown: Schema) -> ReadOnly:
    """What `shown` has and `body` does not."""
    found = ReadOnly()
    for name, shown_field in shown.fields.items():
        if name not in body.fields:
            found.sentences[name] = _sentence(shown_field)
            continue
        taken, given = _object_of(body.fields[name]), _object_of(shown_field)
        if taken is not None and given is not None:
            found.inside[name] = read_only(taken, given)
    return found


def _sentence(shown: fields.Field[Any]) -> str:
    instead = shown.metadata.get("instead")
    return f"Read-only here: leave it out; {instead}." if instead else READ_ONLY


def _object_of(shown: fields.Field[Any]) -> Schema | None:
    """The schema of the object a field holds, or of those in its list."""
    inner = shown.inner if isinstance(shown, fields.List) else shown
    return inner.schema if isinstance(inner, fields.Nested) else None
