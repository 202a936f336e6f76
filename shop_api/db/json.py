"""Values as JSON text for Postgres: exact decimals as numbers, ids and instants as text."""

from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(decimal_format="number")


def encode_json(value: Any) -> str:
    """The JSON text of a plain value."""
    return _encoder.encode(value).decode()
