"""What callbacks are refused for."""

from shop_api.kernel.errors import DomainError, ErrorKind

INVALID_SIGNATURE = DomainError(
    ErrorKind.UNAUTHENTICATED,
    "invalid_signature",
    "X-Payment-Signature is not the signature of this body for this tenant.",
)
