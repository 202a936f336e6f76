"""HTTP message signatures (RFC 9421) of requests, and the digests of their bodies (RFC 9530).

Belongs here: a request as it was signed, what a signature must cover, and judging it. Does not: who
must sign (possession.py). The base of a signature and its cryptography are those of
http-message-signatures.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    VerifyResult,
)
from http_message_signatures.algorithms import ED25519
from http_message_signatures.digests import ContentDigest

from shop_api.gateway.refusal import PATH_SAFE
from shop_api.gateway.request_identity import is_secure
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Exchange

# False when the nonce of that name was used within so many seconds; RedisAway when nobody knows.
UseNonce = Callable[[str, int], bool]

REQUIRED = ("@method", "@path", "@query")
DIGEST = '"content-digest"'
MAX_NONCE_LENGTH = 128
# of both headers together: a signature with all a request has is some 400 characters long
MAX_HEADER_LENGTH = 4096
FORMS = {
    "Signature-Input": 'such as `sig=("@method" "@path" "@query");created=1767225600;…`',
    "Signature": "such as `sig=:…:` with the signature in base64",
}


class SignedRequest:
    """A request in the form the library resolves its components from."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.method = exchange.method

    @cached_property
    def url(self) -> str:
        """WSGI gives the path decoded: a signature is over its shortest encoding."""
        environ = self._exchange.environ
        scheme = "https" if is_secure(self._exchange) else "http"
        path = quote(self._exchange.path.encode("latin-1"), safe=PATH_SAFE)
        query = environ.get("QUERY_STRING", "")
        mark = "?" if query else ""
        return f"{scheme}://{environ.get('HTTP_HOST', '')}{path}{mark}{query}"

    @cached_property
    def headers(self) -> dict[str, str]:
        """The request's headers; a repeated one comes joined."""
        environ = self._exchange.environ
        found = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): str(value).strip()
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.get(name):
                found[name.replace("_", "-").lower()] = environ[name]
        return found


class _OneKey(HTTPSignatureKeyResolver):
    """The key of the credential that was sent, under its id and no other."""

    def __init__(self, key_id: str, public_key: bytes) -> None:
        self._key_id = key_id
        self._public_key = public_key

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey | None:
        if key_id != self._key_id:
            return None
        return Ed25519PublicKey.from_public_bytes(self._public_key)


class _Verifier(HTTPMessageVerifier):
    """The library's, which says what a signature lacks, by this server's clock.

    `created` is held to the clock in both directions; `expires` without grace: its client chose it.
    """

    def __init__(self, key_id: str, public_key: bytes, skew_seconds: int, now: int) -> None:
        super().__init__(signature_algorithm=ED25519, key_resolver=_OneKey(key_id, public_key))
        self.max_clock_skew = timedelta(seconds=skew_seconds)
        self._key_id = key_id
        self._skew_seconds = skew_seconds
        self._now = now

    def _parse_dict_header(self, header_name: str, headers: Any) -> Any:
        try:
            return super()._parse_dict_header(header_name, headers)
        except InvalidSignature as error:
            raise refused(
                f"{header_name} is missing or cannot be read. It is a dictionary with one member,"
                f" {FORMS[header_name]} (RFC 9421)."
            ) from error

    def validate_created_and_expires(
        self, sig_input: Any, max_age: timedelta | None = None
    ) -> None:
        """Raise for what its parameters say of it, and when it is not of this time."""
        given = sig_input.params
        if "created" not in given:
            raise refused("The signature lacks `created`, the time at which it was made.")
        if given.get("keyid") != self._key_id:
            raise refused(
                "`keyid` of the signature must be the id of the API key in Authorization,"
                f" {self._key_id}."
            )
        if given.get("alg", ED25519.algorithm_id) != ED25519.algorithm_id:
            raise refused(f"`alg` of the signature must be {ED25519.algorithm_id}, or left out.")
        created, expires = given["created"], given.get("expires")
        if expires is not None and expires < self._now:
            raise refused("The signature has expired: its `expires` is past. Sign it anew.")
        if abs(created - self._now) > self._skew_seconds:
            raise DomainError(
                ErrorKind.UNAUTHENTICATED,
                "signature_expired",
                f"The signature was made more than {self._skew_seconds} seconds before or after"
                " the time of this server. Set your clock, and sign each request when you send it.",
            )
        super().validate_created_and_expires(sig_input, max_age)


class SignatureChecker:
    """Judges signatures: who made them, what they cover, when, and that none comes twice."""

    def __init__(self, use_nonce: UseNonce, skew_seconds: int) -> None:
        self._use_nonce = use_nonce
        self._skew_seconds = skew_seconds

    def check(self, exchange: Exchange, key_id: str, public_key: bytes) -> str:
        """The Content-Digest that the signature covers, "" for none; raises what it refuses."""
        found = self.verify(exchange, key_id, public_key)
        missing = [name for name in REQUIRED if f'"{name}"' not in found.covered_components]
        if missing:
            raise refused(f"The signature does not cover {', '.join(missing)}.")
        nonce = found.nonce
        if not nonce or len(nonce) > MAX_NONCE_LENGTH:
            raise refused(f"The signature needs a `nonce` of 1 to {MAX_NONCE_LENGTH} characters.")
        # last: who cannot sign fills no memory, and uses up nobody's nonce
        name = f"nonce:{key_id}:{sha256(nonce.encode()).hexdigest()[:32]}"
        left = int(found.parameters["created"]) + self._skew_seconds - now_seconds(exchange)
        if not self._use_nonce(name, left + 1):
            raise DomainError(
                ErrorKind.UNAUTHENTICATED,
                "signature_replayed",
                "A request with this nonce came before. Sign each request anew.",
            )
        return found.covered_components.get(DIGEST, "")

    def verify(self, exchange: Exchange, key_id: str, public_key: bytes) -> VerifyResult:
        """What the only signature of a request covers; raises when it is not by the key."""
        environ = exchange.environ
        given = (environ.get("HTTP_SIGNATURE", ""), environ.get("HTTP_SIGNATURE_INPUT", ""))
        if sum(map(len, given)) > MAX_HEADER_LENGTH:
            raise refused(f"The signature is longer than {MAX_HEADER_LENGTH} characters.")
        verifier = _Verifier(key_id, public_key, self._skew_seconds, now_seconds(exchange))
        request: Any = SignedRequest(exchange)
        try:
            (found,) = verifier.verify(request, max_age=None)
        except InvalidSignature as error:
            raise refused(
                "The signature does not verify: it must be the only one, by the key's Ed25519 key,"
                " over what was sent."
            ) from error
        return found


def now_seconds(exchange: Exchange) -> int:
    """When the request came, in whole seconds as signatures count."""
    return int(exchange.started_at.timestamp())


def refused(detail: str) -> DomainError:
    """A signature that proves nothing."""
    return DomainError(ErrorKind.UNAUTHENTICATED, "invalid_signature", detail)


def check_body(content_digest: str, body: bytes) -> None:
    """Raise unless a body is the one whose digest was signed; "" is the digest of none."""
    if not content_digest:
        if body:
            raise refused("The signature does not cover content-digest, which a body needs.")
        return
    try:
        ContentDigest.verify(content_digest, body)
    except InvalidSignature as error:
        raise DomainError(
            ErrorKind.MALFORMED,
            "content_digest_mismatch",
            "Content-Digest is not of this body: it takes sha-256 or sha-512, of the bytes sent.",
        ) from error
