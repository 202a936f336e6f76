"""The installation's secret keys: the one that signs, and others that are believed beside it.

Belongs here: the keys and what is derived from them. Does not: where they come from (settings.py,
stack/secrets.py) nor what each purpose does with its keys.
"""

from dataclasses import dataclass, field
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class SecretKeys:
    """While a key is rotated there are two: what either has signed or encrypted is accepted."""

    # never in a log line or a traceback
    signing: bytes = field(repr=False)
    others: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, signing: str, others: list[str]) -> "SecretKeys":
        """The keys as settings hold them."""
        return cls(signing.encode(), tuple(key.encode() for key in others))

    @property
    def all(self) -> tuple[bytes, ...]:
        """Every key that is believed, the signing one first."""
        return (self.signing, *self.others)

    def derived(self, purpose: bytes) -> tuple[bytes, ...]:
        """A key of this purpose of each, so that a cursor's signature is never a token's."""
        return tuple(sha256(purpose + key).digest() for key in self.all)


def key_id(key: bytes) -> str:
    """What names a key in the open: a digest, from which the key cannot be found."""
    return sha256(b"key-id" + key).hexdigest()[:16]
