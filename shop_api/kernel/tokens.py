"""Secrets that are shown once: random tokens, of which only the hash is kept.

Belongs here: making and hashing them. Does not: signed tokens (domains/accounts) and passwords.
"""

import secrets
from hashlib import sha256


def make_token(prefix: str) -> str:
    """A new token of 256 random bits; the prefix says of what kind it is."""
    return prefix + secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """SHA-256 of a random token: it has entropy enough to need no salt."""
    return sha256(token.encode()).digest()
