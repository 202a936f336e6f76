"""What API keys refuse."""

from shop_api.kernel.errors import DomainError, ErrorKind, conflict, invalid

EXPIRED_ALREADY = invalid("expired_already", "The key would be expired already.", "/expires_at")
OUTLIVES_CALLER = invalid(
    "outlives_caller", "The key would outlive the one that makes it.", "/expires_at"
)
NO_SCOPE = invalid("scope_not_allowed", "Name at least one scope.", "/scopes")
KEY_NOT_LIVE = conflict("key_not_live", "The key is revoked or expired. Create a new one.")
KEY_REPLACED = conflict(
    "key_replaced", "The key was rotated already; `replaced_by` names the key that follows it."
)
NOTHING_TO_VERIFY = invalid(
    "public_key_required",
    "Without a public key no signature can be verified.",
    "/requires_signature",
)
PUBLISHABLE_BOUND = invalid(
    "binding_not_allowed", "Only a secret key can be bound: a page keeps no secret.", "/kind"
)


def unknown_scopes(scopes: list[str]) -> DomainError:
    """Scopes that do not exist, or that this kind of key or this caller may not have."""
    names = ", ".join(scopes)
    return invalid("scope_not_allowed", f"Not allowed for this key: {names}.", "/scopes")


def key_too_strong(scopes: list[str]) -> DomainError:
    """A key that may do more than the caller."""
    return DomainError(
        ErrorKind.FORBIDDEN,
        "key_not_allowed",
        f"The key may do more than this credential ({', '.join(scopes)}); ask somebody who may.",
    )
