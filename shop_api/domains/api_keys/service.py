"""Making, changing, rotating and revoking API keys; knows no HTTP.

Nobody makes a key stronger than themselves, nor one that outlives them, nor touches one that is.
"""

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from shop_api.db.types import AnyRow
from shop_api.domains.api_keys import errors
from shop_api.domains.api_keys.repository import KeyRepository
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.kernel.principal import PUBLISHABLE_SCOPES, SCOPES
from shop_api.kernel.tokens import hash_token, make_token
from shop_api.spine.unit_of_work import UnitOfWork

KEY_PREFIX_LENGTH = 11


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes or changes a key, as far as a key can be stronger than they are."""

    scopes: frozenset[str]
    # of a caller's own key that ends
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """What must come with a key besides its text."""

    public_key: bytes | None = None
    requires_signature: bool = False
    certificate_fingerprint: bytes | None = None


UNBOUND = Binding()

# who has the machine
OPERATOR = Caller(frozenset(SCOPES))


def create_key(
    work: UnitOfWork,
    name: str,
    kind: str,
    scopes: list[str] | None,
    expires_at: datetime | None,
    caller: Caller,
    binding: Binding = UNBOUND,
) -> tuple[str, AnyRow]:
    """A new API key: its text, shown once, and its resource row.

    Scopes default to all that the caller and the kind permit; others are refused, so that nobody
    makes a key stronger than themselves. It ends with the caller's key at the latest.
    """
    _check_expiry(work, expires_at, caller)
    _check_binding(binding, kind)
    wanted = _allowed_scopes(scopes, kind, caller.scopes)
    token, row = _add(work, name, kind, wanted, expires_at or caller.expires_at, binding)
    work.audit("api_key_created", "api_key", row.id, None, row.body)
    return token, row


def change_key(work: UnitOfWork, before: AnyRow, body: dict[str, Any], caller: Caller) -> AnyRow:
    """Change name, scopes or expiry of a live key; the new resource row."""
    _check_live(work, before)
    _check_strength(before, caller)
    if not body:
        return before
    values = dict(body)
    if "scopes" in body:
        values["scopes"] = _allowed_scopes(body["scopes"], before.kind, caller.scopes)
    if "expires_at" in body:
        _check_expiry(work, body["expires_at"], caller)
        values["expires_at"] = body["expires_at"] or caller.expires_at
    bound = {f.name: values.get(f.name, getattr(before, f.name)) for f in fields(Binding)}
    _check_binding(Binding(**bound), before.kind)
    keys = work.repository(KeyRepository)
    keys.change(before.id, {**values, "updated_at": work.now})
    row = _found(keys, before)
    work.audit("api_key_updated", "api_key", before.id, before.body, row.body)
    return row


def rotate_key(
    work: UnitOfWork, before: AnyRow, overlap_seconds: int, caller: Caller
) -> tuple[str, AnyRow]:
    """A key that follows a live one: its text, shown once, and its resource row.

    The old one works for `overlap_seconds` more, and never longer than it would have. The new one
    lives as long as the old one was made for, and ends with the caller's key at the latest.
    """
    _check_live(work, before)
    if before.replaced_by is not None:
        raise errors.KEY_REPLACED
    _check_strength(before, caller)
    expires_at = before.expires_at and work.now + (before.expires_at - before.created_at)
    if caller.expires_at is not None:
        expires_at = min(expires_at or caller.expires_at, caller.expires_at)
    binding = Binding(before.public_key, before.requires_signature, before.certificate_fingerprint)
    token, row = _add(work, before.name, before.kind, before.scopes, expires_at, binding)
    ends_at = work.now + timedelta(seconds=overlap_seconds)
    keys = work.repository(KeyRepository)
    keys.change(
        before.id,
        {
            "replaced_by": row.id,
            "expires_at": min(ends_at, before.expires_at or ends_at),
            "updated_at": work.now,
        },
    )
    old = _found(keys, before)
    work.audit("api_key_rotated", "api_key", before.id, before.body, old.body)
    work.audit("api_key_created", "api_key", row.id, None, row.body)
    return token, row


def revoke_key(work: UnitOfWork, before: AnyRow, caller: Caller) -> None:
    """Revoke a key; one that is revoked stays so."""
    _check_strength(before, caller)
    if before.revoked_at is not None:
        return
    keys = work.repository(KeyRepository)
    keys.change(before.id, {"revoked_at": work.now, "updated_at": work.now})
    work.audit("api_key_revoked", "api_key", before.id, before.body, _found(keys, before).body)


def _add(
    work: UnitOfWork,
    name: str,
    kind: str,
    scopes: list[str],
    expires_at: datetime | None,
    binding: Binding,
) -> tuple[str, AnyRow]:
    token = make_token("pk_" if kind == "publishable" else "sk_")
    row = work.repository(KeyRepository).add(
        {
            "id": new_id(work.now),
            "name": name,
            "kind": kind,
            "prefix": token[:KEY_PREFIX_LENGTH],
            "key_hash": hash_token(token),
            "scopes": scopes,
            "expires_at": expires_at.astimezone(UTC) if expires_at else None,
            **asdict(binding),
            "created_at": work.now,
            "updated_at": work.now,
        }
    )
    return token, row


def _allowed_scopes(scopes: list[str] | None, kind: str, allowed: frozenset[str]) -> list[str]:
    limit = allowed & (PUBLISHABLE_SCOPES if kind == "publishable" else frozenset(SCOPES))
    wanted = sorted(set(scopes)) if scopes is not None else sorted(limit)
    refused = [scope for scope in wanted if scope not in limit]
    if refused:
        raise errors.unknown_scopes(refused)
    if not wanted:
        raise errors.NO_SCOPE
    return wanted


def _check_expiry(work: UnitOfWork, expires_at: datetime | None, caller: Caller) -> None:
    if expires_at is None:
        return
    if expires_at <= work.now:
        raise errors.EXPIRED_ALREADY
    if caller.expires_at is not None and expires_at > caller.expires_at:
        raise errors.OUTLIVES_CALLER


def _check_binding(binding: Binding, kind: str) -> None:
    if binding.requires_signature and binding.public_key is None:
        raise errors.NOTHING_TO_VERIFY
    if binding != UNBOUND and kind == "publishable":
        raise errors.PUBLISHABLE_BOUND


def _check_live(work: UnitOfWork, key: AnyRow) -> None:
    if key.revoked_at is not None or (key.expires_at and key.expires_at <= work.now):
        raise errors.KEY_NOT_LIVE


def _check_strength(key: AnyRow, caller: Caller) -> None:
    beyond = sorted(set(key.scopes) - caller.scopes)
    if beyond:
        raise errors.key_too_strong(beyond)


def _found(keys: KeyRepository, key: AnyRow) -> AnyRow:
    row = keys.find(key.id)
    if row is None:
        raise not_found("API key")
    return row
