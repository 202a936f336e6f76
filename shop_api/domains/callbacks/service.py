"""Acting on what payment providers tell, once and in any order; knows no HTTP."""

import hmac
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from shop_api.domains.callbacks import errors
from shop_api.domains.orders.service import lock_order
from shop_api.domains.payments.service import (
    Told,
    apply_callback,
    is_news,
    open_callback,
    renew_hold,
    told_amount,
)
from shop_api.domains.refunds.service import record_told_refund
from shop_api.kernel.errors import not_found
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.providers import PROVIDERS
from shop_api.providers.port import Callback
from shop_api.spine.unit_of_work import UnitOfWork


def signing_key(secret_key: bytes, tenant_id: UUID) -> bytes:
    """The key a tenant's providers sign with."""
    return hmac.digest(secret_key, b"payment-callback" + tenant_id.bytes, sha256)


def sign(secret_key: bytes, tenant_id: UUID, body: bytes) -> str:
    """The signature of a callback's body: HMAC-SHA256 in hexadecimal."""
    return hmac.digest(signing_key(secret_key, tenant_id), body, sha256).hex()


def check_signature(
    secret_keys: SecretKeys, tenant_id: UUID, body: bytes, signature: str | None
) -> None:
    """Raise `invalid_signature` unless the body was signed with the tenant's key."""
    given = (signature or "").encode()
    expected = [sign(key, tenant_id, body).encode() for key in secret_keys.all]
    if not any(hmac.compare_digest(given, one) for one in expected):
        raise errors.INVALID_SIGNATURE


def check_provider(name: str) -> None:
    """Raise not found for a provider that has no callbacks."""
    if name not in PROVIDERS or not PROVIDERS[name].has_callbacks:
        raise not_found("payment provider")


def receive_callback(work: UnitOfWork, provider: str, callback: Callback, hold: timedelta) -> bool:
    """Settle what a provider tells; False when it is told already, or older than what is known.

    `hold`: for how long the order keeps its stock when no money is left in it. Raises not found for
    an unknown reference.
    """
    told = open_callback(work, provider, callback)
    if told is None:
        return False
    settle = _refund if callback.outcome == "refunded" else apply_callback
    is_applied = settle(work, told, callback)
    renew_hold(work, told.order, hold)
    return is_applied


def _refund(work: UnitOfWork, told: Told, callback: Callback) -> bool:
    """What was refunded was captured, though the callback that said so may still be under way."""
    order, payment = told
    if is_news(payment.status, "captured"):
        apply_callback(work, told, replace(callback, outcome="captured", amount=None))
        order = lock_order(work, order.id)
    return record_told_refund(work, order, payment.id, told_amount(payment, callback))
