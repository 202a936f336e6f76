"""Fulfilments and returns over HTTP."""

from uuid import UUID

from shop_api.domains.fulfillments import service
from shop_api.domains.fulfillments.repository import (
    FULFILLMENTS_BY_CREATED_AT,
    RETURNS_BY_CREATED_AT,
    FulfillmentRepository,
)
from shop_api.domains.fulfillments.schemas import (
    FulfillmentBody,
    FulfillmentPage,
    FulfillmentQuery,
    OrderFulfillmentSchema,
    ReturnBody,
    ReturnPage,
    ReturnQuery,
    ReturnSchema,
)
from shop_api.domains.orders.repository import OrderRepository
from shop_api.domains.orders.schemas import OrderSchema
from shop_api.domains.orders.service import lock_order
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

fulfillments = Blueprint(
    "fulfillments",
    __name__,
    url_prefix="/api/v1/orders",
    description="Goods of orders on their way out and back.",
)


@fulfillments.read(
    "/<id:order_id>/fulfillments",
    scope="orders:read",
    query=FulfillmentQuery,
    returns=FulfillmentPage,
)
def list_fulfillments(call: Call, order_id: UUID) -> Reply:
    """List an order's fulfilments, oldest first."""
    asked = call.page_request(FULFILLMENTS_BY_CREATED_AT, is_descending=False)
    if not OrderRepository(call.session).exists(order_id):
        raise not_found("order")
    repository = FulfillmentRepository(call.session)
    page = repository.list_fulfillments(order_id, asked)
    total = repository.count_fulfillments(order_id) if call.wants_total else None
    return call.page(page, asked, total)


@fulfillments.mutation(
    "POST",
    "/<id:order_id>/fulfillments",
    scope="orders:write",
    body=FulfillmentBody,
    returns=OrderFulfillmentSchema,
    status=201,
)
def fulfill_order(call: Call, order_id: UUID) -> Reply:
    """Fulfil a processing order, or a part of it.

    The goods' stock leaves the shelf. Without `lines` everything that remains is fulfilled, but not
    what was refunded before; the order stays processing until it is completed. 409
    `payment_required` when neither payments nor authorizations cover the order, because one was
    voided or captured in part: take a payment, or cancel it. For goods that are paid on delivery or
    later, take a `manual` payment with `capture` false, and capture it when the money is there.
    """
    order = lock_order(call.work, order_id)
    call.require_version(order.version)
    row = service.fulfill_order(call.work, order, call.body)
    return Reply(row.body.encode(), 201)


@fulfillments.mutation("POST", "/<id:order_id>/complete", scope="orders:write", returns=OrderSchema)
def complete_order(call: Call, order_id: UUID) -> Reply:
    """Complete a processing order: whatever of it remains is fulfilled.

    As a fulfilment does, it needs payments or authorizations that cover the order.
    """
    order = lock_order(call.work, order_id)
    call.require_version(order.version)
    return Reply.resource(service.complete_order(call.work, order))


@fulfillments.read(
    "/<id:order_id>/returns", scope="orders:read", query=ReturnQuery, returns=ReturnPage
)
def list_returns(call: Call, order_id: UUID) -> Reply:
    """List an order's returns, oldest first."""
    asked = call.page_request(RETURNS_BY_CREATED_AT, is_descending=False)
    if not OrderRepository(call.session).exists(order_id):
        raise not_found("order")
    repository = FulfillmentRepository(call.session)
    page = repository.list_returns(order_id, asked)
    total = repository.count_returns(order_id) if call.wants_total else None
    return call.page(page, asked, total)


@fulfillments.mutation(
    "POST",
    "/<id:order_id>/returns",
    scope="orders:write",
    body=ReturnBody,
    returns=ReturnSchema,
    status=201,
)
def return_goods(call: Call, order_id: UUID) -> Reply:
    """Take back goods that were fulfilled.

    What is restocked can be sold again at once. Money is given back by a refund.
    """
    order = lock_order(call.work, order_id)
    call.require_version(order.version)
    row = service.return_goods(call.work, order, call.body)
    return Reply(row.body.encode(), 201)
