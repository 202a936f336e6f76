"""Webhook deliveries over HTTP."""

from uuid import UUID

from shop_api.domains.webhook_deliveries import service
from shop_api.domains.webhook_deliveries.repository import (
    DELIVERIES_BY_CREATED_AT,
    DeliveryRepository,
)
from shop_api.domains.webhook_deliveries.schemas import (
    DeliveryDetailSchema,
    DeliveryPage,
    DeliveryQuery,
    DeliverySchema,
    RangeBody,
    RedeliveredSchema,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

webhook_deliveries = Blueprint(
    "webhook_deliveries",
    __name__,
    url_prefix="/api/v1/webhook_deliveries",
    description="What was sent to webhook endpoints, and what they answered.",
)
redeliveries = Blueprint(
    "webhook_redeliveries",
    __name__,
    url_prefix="/api/v1/webhook_endpoints",
    description="Sending a time's events to a webhook endpoint again.",
)
BLUEPRINTS = (redeliveries, webhook_deliveries)


@webhook_deliveries.read("", scope="webhooks:read", query=DeliveryQuery, returns=DeliveryPage)
def list_webhook_deliveries(call: Call) -> Reply:
    """List webhook deliveries, newest first."""
    asked = call.page_request(DELIVERIES_BY_CREATED_AT, is_descending=True)
    deliveries = DeliveryRepository(call.session)
    page = deliveries.list_page(call.query, asked)
    total = deliveries.count(call.query) if call.wants_total else None
    return call.page(page, asked, total)


@webhook_deliveries.read("/<id:delivery_id>", scope="webhooks:read", returns=DeliveryDetailSchema)
def get_webhook_delivery(call: Call, delivery_id: UUID) -> Reply:
    """Get a webhook delivery with its attempts: what was sent, and what was answered."""
    scopes = call.principal.scopes
    row = DeliveryRepository(call.session).find_detail(
        delivery_id, service.visible_types(scopes), sorted(scopes)
    )
    if row is None:
        raise not_found("webhook delivery")
    return Reply.resource(row)


@webhook_deliveries.mutation(
    "POST", "/<id:delivery_id>/redeliver", scope="webhooks:write", returns=DeliverySchema
)
def redeliver_webhook(call: Call, delivery_id: UUID) -> Reply:
    """Send a webhook again, now, and for a day if it has to be.

    Its `webhook-id` stays the same, so a receiver that had it knows it again.
    """
    before = DeliveryRepository(call.session).find(delivery_id, for_update=True)
    if before is None:
        raise not_found("webhook delivery")
    call.require_version(before.version)
    return Reply.resource(service.redeliver(call.work, before, call.principal.scopes))


@redeliveries.mutation(
    "POST",
    "/<id:endpoint_id>/redeliver",
    scope="webhooks:write",
    body=RangeBody,
    returns=RedeliveredSchema,
    is_conditional=False,
)
def redeliver_webhooks(call: Call, endpoint_id: UUID) -> Reply:
    """Send a webhook endpoint again what was made for it in a time: what failed, unless told.

    Takes the oldest 10 000; while the answer has `has_more`, ask again.
    """
    bounds = (call.body["start"], call.body["end"])
    done = service.redeliver_range(
        call.work, endpoint_id, bounds, call.body["states"], call.principal.scopes
    )
    return Reply.of({"count": done.count, "has_more": done.has_more})
