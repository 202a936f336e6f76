"""Sending deliveries again; knows no HTTP."""

from datetime import datetime
from uuid import UUID

from shop_api.db.types import AnyRow
from shop_api.domains.webhook_deliveries import errors
from shop_api.domains.webhook_deliveries.repository import DeliveryRepository
from shop_api.domains.webhooks.errors import PAUSED
from shop_api.domains.webhooks.repository import EndpointRepository
from shop_api.domains.webhooks.service import check_strength
from shop_api.kernel.errors import not_found
from shop_api.spine.unit_of_work import UnitOfWork
from shop_api.webhooks.events import EVENT_TYPES, TEST_EVENT, is_allowed
from shop_api.webhooks.schedule import LIFETIME

# Of a call; a next one goes on where it ended, for what is pending again is not of its states.
RANGE_LIMIT = 10_000


def visible_types(scopes: frozenset[str]) -> list[str]:
    """The types of events whose content a reader with these scopes may see."""
    return [TEST_EVENT, *(name for name in EVENT_TYPES if is_allowed(name, scopes))]


def redeliver(work: UnitOfWork, before: AnyRow, scopes: frozenset[str]) -> AnyRow:
    """Have a delivery sent now, and tried for another day; its resource row."""
    _deliverable(work, before.endpoint_id, scopes)
    deliveries = work.repository(DeliveryRepository)
    deliveries.begin_again(before.id, work.now, work.now + LIFETIME)
    row = deliveries.find(before.id)
    if row is None:
        raise LookupError(f"delivery {before.id} vanished within its transaction")
    work.audit("webhook_redelivered", "webhook_delivery", before.id, before.body, row.body)
    return row


def redeliver_range(
    work: UnitOfWork,
    endpoint_id: UUID,
    bounds: tuple[datetime, datetime],
    states: list[str],
    scopes: frozenset[str],
) -> AnyRow:
    """Have an endpoint's deliveries of a time sent again: how many, and whether there are more."""
    if bounds[0] >= bounds[1]:
        raise errors.BOUNDS_CROSS
    _deliverable(work, endpoint_id, scopes)
    done = work.repository(DeliveryRepository).begin_range_again(
        endpoint_id, bounds, states, work.now, work.now + LIFETIME, RANGE_LIMIT
    )
    told = {"from": bounds[0], "to": bounds[1], "states": states, "count": done.count}
    work.audit("webhooks_redelivered", "webhook_endpoint", endpoint_id, None, told)
    return done


def _deliverable(work: UnitOfWork, endpoint_id: UUID, scopes: frozenset[str]) -> None:
    endpoint = work.repository(EndpointRepository).find(endpoint_id)
    if endpoint is None:
        raise not_found("webhook endpoint")
    check_strength(endpoint, scopes)
    if endpoint.status != "active":
        raise PAUSED
