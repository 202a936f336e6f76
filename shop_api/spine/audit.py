"""What an audit row tells: the fields of its subject before and after, as far as they differ.

Belongs here: what is left out and what is masked. Does not: writing the row (unit_of_work.py) and
reading it (domains/audit).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

# The fields of a subject; the JSON text of a resource row; None where there was, or is, nothing.
Fields = Mapping[str, Any] | str | None

MASK = "***"

SECRETS = frozenset({"password", "password_hash", "key", "key_hash", "token", "token_hash"}) | {
    "refresh_token",
    "secret",
    "card_number",
}
# Personal data of customers: that it changed is told, what it is is not, for an audit row outlives
# the erasing of a customer.
PERSONAL = frozenset({"email", "customer_email", "phone", "first_name", "last_name"}) | {
    "address",
    "addresses",
    "shipping_address",
    "billing_address",
}
# What is personal of one subject only: elsewhere a region may be a tax rate's.
PERSONAL_OF = {
    "customer": frozenset({"tags", "external_id"}),
    "customer_address": frozenset({"recipient", "company", "label", "line1", "line2", "city"})
    | {"region", "postal_code"},
}
# Free text that may be personal too.
NOTES = frozenset({"note", "cancel_reason"})
SUBJECTS_WITH_NOTES = frozenset({"customer", "order", "session"})
# The tenant's own people are told by their address.
PEOPLE = frozenset({"user", "invitation"})
# Every change changes them.
UNTOLD = frozenset({"updated_at", "version"})

_decoder = msgspec.json.Decoder(float_hook=Decimal)


def changes_between(subject_type: str, before: Fields, after: Fields) -> dict[str, Any]:
    """`{"before", "after"}`: whole where the other is None, else the fields that differ."""
    old, new = _fields(before), _fields(after)
    if old is not None and new is not None:
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        old = {name: old[name] for name in names if name in old}
        new = {name: new[name] for name in names if name in new}
    masked = SECRETS
    if subject_type not in PEOPLE:
        masked = masked | PERSONAL
    masked = masked | PERSONAL_OF.get(subject_type, frozenset())
    if subject_type in SUBJECTS_WITH_NOTES:
        masked = masked | NOTES
    return {"before": _masked(old, masked), "after": _masked(new, masked)}


def fields_of(row: Any) -> dict[str, Any]:
    """The fields of a resource row, whose `body` is JSON text."""
    found: dict[str, Any] = _decoder.decode(row.body)
    return found


def _fields(value: Fields) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = _decoder.decode(value) if isinstance(value, str) else value
    if found is None:
        return None
    return {name: field for name, field in found.items() if name not in UNTOLD}


def _masked(value: Any, names: frozenset[str]) -> Any:
    """The value with every field of these names masked, however deep."""
    if isinstance(value, Mapping):
        return {
            name: MASK if name in names and field is not None else _masked(field, names)
            for name, field in value.items()
        }
    if isinstance(value, list):
        return [_masked(item, names) for item in value]
    return value
