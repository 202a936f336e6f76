"""Webhook endpoints over HTTP."""

from uuid import UUID

import msgspec

from shop_api.db.types import AnyRow
from shop_api.domains.webhooks import service
from shop_api.domains.webhooks.repository import ENDPOINTS_BY_CREATED_AT, EndpointRepository
from shop_api.domains.webhooks.schemas import (
    EndpointBody,
    EndpointChanges,
    EndpointPage,
    EndpointQuery,
    EndpointSchema,
    NewEndpointSchema,
    SecretRotationBody,
    SentTestSchema,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply
from shop_api.webhooks.addresses import AllowedNetworks
from shop_api.webhooks.signing import SecretCipher

COLLECTION = "/api/v1/webhook_endpoints"
DELIVERIES = "/api/v1/webhook_deliveries"

webhook_endpoints = Blueprint(
    "webhook_endpoints",
    __name__,
    url_prefix=COLLECTION,
    description="Where events are sent as they happen: signed (Standard Webhooks), in order, and"
    " tried again for a day.",
)


def _rules(call: Call) -> service.Rules:
    networks = AllowedNetworks.of(call.services.settings.webhook_allowed_networks)
    return service.Rules(call.principal.scopes, networks, SecretCipher(call.services.secret_keys))


def _shown_once(secret: str, row: AnyRow, status: int) -> Reply:
    """An endpoint with its new secret."""
    body = {**msgspec.json.decode(row.body), "secret": secret}
    reply = Reply.of(body, status, row.version)
    reply.headers.append(("Cache-Control", "no-store"))
    return reply


def _locked(call: Call, endpoint_id: UUID) -> AnyRow:
    """The endpoint to change, in the version the client names."""
    row = EndpointRepository(call.session).find(endpoint_id, for_update=True)
    if row is None:
        raise not_found("webhook endpoint")
    call.require_version(row.version)
    return row


@webhook_endpoints.read("", scope="webhooks:read", query=EndpointQuery, returns=EndpointPage)
def list_webhook_endpoints(call: Call) -> Reply:
    """List webhook endpoints, newest first."""
    asked = call.page_request(ENDPOINTS_BY_CREATED_AT, is_descending=True)
    endpoints = EndpointRepository(call.session)
    page = endpoints.list_page(asked)
    total = endpoints.count() if call.wants_total else None
    return call.page(page, asked, total)


@webhook_endpoints.read("/<id:endpoint_id>", scope="webhooks:read", returns=EndpointSchema)
def get_webhook_endpoint(call: Call, endpoint_id: UUID) -> Reply:
    """Get a webhook endpoint, without its secret."""
    row = EndpointRepository(call.session).find(endpoint_id)
    if row is None:
        raise not_found("webhook endpoint")
    return Reply.resource(row)


@webhook_endpoints.mutation(
    "POST",
    "",
    scope="webhooks:write",
    body=EndpointBody,
    returns=NewEndpointSchema,
    status=201,
    is_secret=True,
)
def create_webhook_endpoint(call: Call) -> Reply:
    """Create a webhook endpoint. Its secret is in this answer only.

    It is sent the events that happen from now on, as far as the caller may see them: 422
    `event_not_allowed` for others, and customers' e-mail addresses only with `customers:read`.
    """
    secret, row = service.create_endpoint(call.work, call.body, _rules(call))
    reply = _shown_once(secret, row, 201)
    reply.headers.append(("Location", f"{COLLECTION}/{row.id}"))
    return reply


@webhook_endpoints.mutation(
    "PATCH",
    "/<id:endpoint_id>",
    scope="webhooks:write",
    body=EndpointChanges,
    returns=EndpointSchema,
)
def update_webhook_endpoint(call: Call, endpoint_id: UUID) -> Reply:
    """Change a webhook endpoint's URL, description or events, pause it, or set it active again.

    With `event_types` it is sent from then on what the caller may see. 403 `endpoint_not_allowed`
    when it is sent what the caller may not see. Set active, it gets what waited, up to a day.
    """
    before = _locked(call, endpoint_id)
    return Reply.resource(service.change_endpoint(call.work, before, call.body, _rules(call)))


@webhook_endpoints.mutation(
    "POST",
    "/<id:endpoint_id>/rotate_secret",
    scope="webhooks:write",
    body=SecretRotationBody,
    returns=NewEndpointSchema,
    is_secret=True,
)
def rotate_webhook_secret(call: Call, endpoint_id: UUID) -> Reply:
    """Rotate a webhook endpoint's secret: the new one is in this answer only.

    For `overlap_seconds`, a day unless told, messages carry a signature of each. A third is not
    kept: rotated again meanwhile, the oldest signs no more.
    """
    before = _locked(call, endpoint_id)
    overlap_seconds = call.body["overlap_seconds"]
    made = service.rotate_secret(call.work, before, overlap_seconds, _rules(call))
    return _shown_once(*made, 200)


@webhook_endpoints.mutation(
    "POST",
    "/<id:endpoint_id>/test",
    scope="webhooks:write",
    returns=SentTestSchema,
    status=202,
    is_conditional=False,
)
def test_webhook_endpoint(call: Call, endpoint_id: UUID) -> Reply:
    """Send a webhook endpoint an event `webhook_test`, once, also while it is paused."""
    row = EndpointRepository(call.session).find(endpoint_id)
    if row is None:
        raise not_found("webhook endpoint")
    delivery_id = service.send_test(call.work, row, call.principal.scopes)
    reply = Reply.of({"delivery_id": str(delivery_id)}, 202)
    reply.headers.append(("Location", f"{DELIVERIES}/{delivery_id}"))
    return reply


@webhook_endpoints.mutation("DELETE", "/<id:endpoint_id>", scope="webhooks:write", returns=None)
def delete_webhook_endpoint(call: Call, endpoint_id: UUID) -> Reply:
    """Delete a webhook endpoint. Nothing more is sent there; its deliveries go within the hour."""
    service.delete_endpoint(call.work, _locked(call, endpoint_id), call.principal.scopes)
    return Reply.empty()
