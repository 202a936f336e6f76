"""Secrets of endpoints and what is signed with them, by Standard Webhooks.

Belongs here: making, keeping and using secrets. Does not: when one is made or rotated
(domains/webhooks). What is kept is encrypted with the installation's keys: a signature can only be
made from the secret itself, so a hash would not do.
"""

import hmac
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from secrets import token_bytes

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shop_api.kernel.secret_keys import SecretKeys

PREFIX = "whsec_"
SECRET_BYTES = 32

SecretUnreadable = InvalidToken


class SecretCipher:
    """Encrypts secrets with the installation's key, and reads what any that is believed has."""

    def __init__(self, keys: SecretKeys) -> None:
        ciphers = [Fernet(urlsafe_b64encode(key)) for key in keys.derived(b"webhook-secret")]
        self._newest = ciphers[0]
        self._all = MultiFernet(ciphers)

    def encrypt(self, secret: str) -> bytes:
        """A secret as it is kept."""
        return self._newest.encrypt(secret.encode())

    def decrypt(self, kept: bytes) -> str:
        """The secret; raises SecretUnreadable when no key that is believed has encrypted it."""
        return self._all.decrypt(kept).decode()

    def renew(self, kept: bytes) -> bytes | None:
        """The same encrypted with the newest key; None when it is already."""
        try:
            self._newest.decrypt(kept)
        except InvalidToken:
            return self.encrypt(self.decrypt(kept))
        return None


def make_secret() -> str:
    """A new secret, as whoever verifies with it writes it down."""
    return PREFIX + b64encode(token_bytes(SECRET_BYTES)).decode()


def signed_headers(
    secrets: Sequence[str], message_id: str, now: datetime, body: bytes
) -> dict[str, str]:
    """What goes with a message: its id, the instant of the attempt, and a signature per secret."""
    timestamp = str(int(now.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = b64decode(secret.removeprefix(PREFIX))
    return "v1," + b64encode(hmac.digest(key, signed, sha256)).decode()
