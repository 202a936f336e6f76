"""A statement as spans tell it: what it does, and its text, on one line and not without end.

Belongs here: reading a text, once however often it is sent. Does not: values, which are no part of
it.
"""

from functools import lru_cache

# The longest texts of the product have 9 000 characters, and what they read stands at their end.
MAX_TEXT_LENGTH = 12_000


@lru_cache(maxsize=1000)
def described(text: str) -> dict[str, str]:
    """The attributes of a statement."""
    words = text.split()
    return {
        "db.operation.name": words[0].upper(),
        "db.query.text": " ".join(words)[:MAX_TEXT_LENGTH],
    }
