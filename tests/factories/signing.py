"""Signed requests (RFC 9421), written from the RFC and not from the library that verifies them."""

import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fixtures.api import Answered, ApiClient, encode

COVERED = ("@method", "@path", "@query")


def base64(data: bytes) -> str:
    return b64encode(data).decode()


def content_digest(body: bytes) -> str:
    return f"sha-256=:{base64(sha256(body).digest())}:"


@dataclass
class Signer:
    """Signs requests of one API key."""

    key_id: str
    private_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public_key(self) -> str:
        return base64(self.private_key.public_key().public_bytes_raw())

    def headers(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        sent: dict[str, str] | None = None,
        covered: Sequence[str] = COVERED,
        **changes: Any,
    ) -> dict[str, str]:
        """What goes with a request; parameters of the signature may be changed, None omits one."""
        parts = urlsplit(target)
        headers = dict(sent or {})
        if body:
            headers["Content-Digest"] = content_digest(body)
            covered = (*covered, "content-digest")
        values = {
            "@method": method,
            "@path": parts.path,
            "@query": f"?{parts.query}",
            **{name.lower(): value for name, value in headers.items()},
        }
        parameters: dict[str, Any] = {
            "created": int(time.time()),
            "nonce": uuid4().hex,
            "keyid": self.key_id,
            "alg": "ed25519",
            **changes,
        }
        names = [f'"{name}"' for name in covered]
        input_ = f"({' '.join(names)})"
        for name, value in parameters.items():
            if value is not None:
                input_ += f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
        lines = [f"{named}: {values[name]}" for named, name in zip(names, covered, strict=True)]
        base = "\n".join([*lines, f'"@signature-params": {input_}'])
        signature = base64(self.private_key.sign(base.encode()))
        return headers | {"Signature-Input": f"sig={input_}", "Signature": f"sig=:{signature}:"}

    def call(
        self,
        api: ApiClient,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        key: str | None = None,
        **changes: Any,
    ) -> Answered:
        """Send a signed request."""
        target = f"{path}?{urlencode(query)}" if query else path
        data = b"" if body is None else encode(body)
        headers = self.headers(method, target, data, **changes)
        return api.call(method, path, body, query=query, headers=headers, key=key)
