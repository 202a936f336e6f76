"""Whether who sends a key also holds what the key is bound to: a certificate, a private key.

Belongs here: asking for the proof, and that it is there. Does not: judging a signature
(signatures.py), the digest of the body, which is checked where the body is read (idempotency.py).
"""

import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from hashlib import sha256

from shop_api.gateway.signatures import SignatureChecker
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import IS_INNER, Answer, Exchange, Stage
from shop_api.kernel.principal import Proof


class Possession:
    """401 for a bound key alone, of no use to who has only copied it; raised by rate_limit.py."""

    def __init__(
        self, forward: Stage, signatures: SignatureChecker, *, has_certificates: bool
    ) -> None:
        self.forward = forward
        self.signatures = signatures
        # whether a trusted proxy tells clients' certificates
        self.has_certificates = has_certificates

    def __call__(self, exchange: Exchange) -> Answer:
        principal = exchange.principal
        # a request of a batch came with the proof of the batch, in the body that was signed
        if principal is not None and principal.proof and IS_INNER not in exchange.environ:
            try:
                self._check_certificate(exchange, principal.proof)
                self._check_signature(exchange, principal.proof)
            except DomainError as error:
                # who has only copied it counts by address, and takes nothing of the tenant's quota
                exchange.principal, exchange.refusal = None, error
        return self.forward(exchange)

    def _check_certificate(self, exchange: Exchange, proof: Proof) -> None:
        wanted = proof.certificate_fingerprint
        if wanted is None:
            return
        shown = fingerprint_of(exchange) if self.has_certificates else b""
        if not hmac.compare_digest(shown, wanted):
            raise DomainError(
                ErrorKind.UNAUTHENTICATED,
                "certificate_required",
                "This API key is bound to a client certificate, which did not come with it.",
            )

    def _check_signature(self, exchange: Exchange, proof: Proof) -> None:
        if proof.public_key is None:
            return
        environ = exchange.environ
        if "HTTP_SIGNATURE" in environ or "HTTP_SIGNATURE_INPUT" in environ:
            exchange.signed_digest = self.signatures.check(
                exchange, str(proof.key_id), proof.public_key
            )
        elif proof.requires_signature:
            raise DomainError(
                ErrorKind.UNAUTHENTICATED,
                "signature_required",
                "Requests with this API key must be signed: Signature-Input and Signature"
                " (RFC 9421).",
            )


def fingerprint_of(exchange: Exchange) -> bytes:
    """SHA-256 of the certificate that Client-Cert holds (RFC 9440), b"" where there is none."""
    value = exchange.header("CLIENT_CERT") or ""
    if len(value) < 2 or value[0] != ":" or value[-1] != ":":
        return b""
    try:
        return sha256(b64decode(value[1:-1], validate=True)).digest()
    except (Base64Error, ValueError):
        return b""
