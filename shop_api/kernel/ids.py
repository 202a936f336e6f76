"""Identifiers: UUIDv7 (RFC 9562), which sort by time.

Belongs here: making and parsing ids. Does not: secrets (tokens.py).
"""

import itertools
import os
from datetime import datetime
from uuid import UUID

# RFC 9562 §6.2, method 1: 32 bits after the timestamp count the ids of this process, the other 42
# are random. The count starts anywhere in the lower half, so two processes rarely count alike.
_COUNTER_MASK = (1 << 32) - 1
_counter = itertools.count(int.from_bytes(os.urandom(4), "big") >> 1)


def new_id(now: datetime) -> UUID:
    """A UUIDv7 for the instant `now` (aware); ids of one millisecond increase in this process.

    The count goes on whatever instants are asked for, in whatever order: `now` is a request's own.
    """
    millisecond = int(now.timestamp() * 1000)
    count = next(_counter) & _COUNTER_MASK
    random_bits = int.from_bytes(os.urandom(6), "big") & (1 << 42) - 1
    return UUID(
        int=millisecond << 80
        | 7 << 76
        | count >> 20 << 64
        | 0b10 << 62
        | (count & (1 << 20) - 1) << 42
        | random_bits
    )


def parse_id(text: str) -> UUID | None:
    """The UUID for its canonical lower-case form of 36 characters, else None."""
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text.lower() else None
