"""Making, changing, rotating, testing and deleting webhook endpoints; knows no HTTP.

An endpoint is sent what the credential that made it may see, and nobody who may see less touches
it: else a weaker one could have itself sent what it may not read.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from shop_api.db.types import AnyRow
from shop_api.domains.webhooks import errors
from shop_api.domains.webhooks.repository import EndpointRepository
from shop_api.kernel.ids import new_id
from shop_api.spine.notifications import Resolution, tell
from shop_api.spine.unit_of_work import UnitOfWork
from shop_api.webhooks.addresses import AllowedNetworks, RefusedUrl
from shop_api.webhooks.events import DECIDING_SCOPES, SUBJECT, TEST_EVENT, is_allowed
from shop_api.webhooks.queue import notification_key
from shop_api.webhooks.signing import SecretCipher, make_secret

# What an endpoint that is set active forgets of how it did.
AFRESH = {
    "pause_reason": None,
    "paused_at": None,
    "consecutive_failures": 0,
    "failing_since": None,
    "blocked_until": None,
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What an endpoint is judged and kept by."""

    scopes: frozenset[str]
    networks: AllowedNetworks
    cipher: SecretCipher


def create_endpoint(work: UnitOfWork, body: dict[str, Any], rules: Rules) -> tuple[str, AnyRow]:
    """A new endpoint: its secret, shown once, and its resource row.

    It gets the events that are recorded from now on: the tenant's counter of events stands until
    this is committed.
    """
    _check_url(body["url"], rules)
    _check_events(body["event_types"], rules)
    endpoints = work.repository(EndpointRepository)
    after_sequence = endpoints.lock_events()
    if endpoints.count() >= errors.MAX_ENDPOINTS:
        raise errors.TOO_MANY
    secret = make_secret()
    row = endpoints.add(
        {
            "id": new_id(work.now),
            **body,
            "scopes": _deciding(rules),
            "after_sequence": after_sequence,
            "secret": rules.cipher.encrypt(secret),
            "created_at": work.now,
            "updated_at": work.now,
        }
    )
    work.audit("webhook_endpoint_created", SUBJECT, row.id, None, row.body)
    return secret, row


def change_endpoint(work: UnitOfWork, before: AnyRow, body: dict[str, Any], rules: Rules) -> AnyRow:
    """Change some fields; the new resource row."""
    check_strength(before, rules.scopes)
    values = dict(body)
    if "url" in body:
        _check_url(body["url"], rules)
    if "event_types" in body:
        _check_events(body["event_types"], rules)
        values["scopes"] = _deciding(rules)
    if body.get("status", before.status) != before.status:
        is_active = body["status"] == "active"
        values |= AFRESH if is_active else {"pause_reason": "asked", "paused_at": work.now}
        if is_active:
            tell(work, Resolution(notification_key(before.id)))
    if not values:
        return before
    endpoints = work.repository(EndpointRepository)
    endpoints.change(before.id, {**values, "updated_at": work.now})
    row = endpoints.present(before.id)
    work.audit("webhook_endpoint_updated", SUBJECT, before.id, before.body, row.body)
    return row


def rotate_secret(
    work: UnitOfWork, before: AnyRow, overlap_seconds: int, rules: Rules
) -> tuple[str, AnyRow]:
    """A new secret, shown once, and the resource row. The old one signs beside it for a while."""
    check_strength(before, rules.scopes)
    secret = make_secret()
    endpoints = work.repository(EndpointRepository)
    endpoints.change(
        before.id,
        {
            "secret": rules.cipher.encrypt(secret),
            "previous_secret": before.secret if overlap_seconds else None,
            "previous_secret_expires_at": (
                work.now + timedelta(seconds=overlap_seconds) if overlap_seconds else None
            ),
            "updated_at": work.now,
        },
    )
    row = endpoints.present(before.id)
    # that it was rotated; neither secret
    kept = {"secret": "kept"}
    work.audit("webhook_secret_rotated", SUBJECT, before.id, kept, {"secret": "replaced"})
    return secret, row


def send_test(work: UnitOfWork, endpoint: AnyRow, scopes: frozenset[str]) -> UUID:
    """An event for this endpoint alone; the id of its delivery, which is there in a moment."""
    check_strength(endpoint, scopes)
    delivery_id = new_id(work.now)
    data = {
        "endpoint_id": str(endpoint.id),
        "delivery_id": str(delivery_id),
        "message": "This is a test: nothing happened in your shop.",
    }
    work.append(TEST_EVENT, SUBJECT, endpoint.id, data)
    work.audit("webhook_tested", SUBJECT, endpoint.id, None, data)
    return delivery_id


def delete_endpoint(work: UnitOfWork, before: AnyRow, scopes: frozenset[str]) -> None:
    """Nothing more is sent there. The secrets go at once, its deliveries soon."""
    check_strength(before, scopes)
    work.repository(EndpointRepository).change(
        before.id,
        {
            "status": "deleted",
            "secret": b"",
            "previous_secret": None,
            "updated_at": work.now,
        },
    )
    tell(work, Resolution(notification_key(before.id)))
    work.audit("webhook_endpoint_deleted", SUBJECT, before.id, before.body, None)


def check_strength(endpoint: AnyRow, scopes: frozenset[str]) -> None:
    """Refuse who may see less than the endpoint is sent."""
    beyond = sorted(set(endpoint.scopes) - scopes)
    if beyond:
        raise errors.endpoint_too_strong(beyond)


def _deciding(rules: Rules) -> list[str]:
    return sorted(rules.scopes & DECIDING_SCOPES)


def _check_url(url: str, rules: Rules) -> None:
    try:
        rules.networks.check_url(url)
    except RefusedUrl as error:
        raise errors.url_refused(str(error)) from error


def _check_events(event_types: list[str] | None, rules: Rules) -> None:
    refused = [name for name in event_types or () if not is_allowed(name, rules.scopes)]
    if refused:
        raise errors.events_refused(refused)
