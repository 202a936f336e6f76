"""Refunds over HTTP."""

from datetime import timedelta
from uuid import UUID

from shop_api.domains.orders.repository import OrderRepository
from shop_api.domains.orders.service import lock_order
from shop_api.domains.refunds import service
from shop_api.domains.refunds.repository import REFUNDS_BY_CREATED_AT, RefundRepository
from shop_api.domains.refunds.schemas import RefundBody, RefundPage, RefundQuery, RefundSchema
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

refunds = Blueprint(
    "refunds", __name__, url_prefix="/api/v1/orders", description="Give money back."
)


@refunds.read("/<id:order_id>/refunds", scope="orders:read", query=RefundQuery, returns=RefundPage)
def list_refunds(call: Call, order_id: UUID) -> Reply:
    """List an order's refunds, oldest first."""
    asked = call.page_request(REFUNDS_BY_CREATED_AT, is_descending=False)
    if not OrderRepository(call.session).exists(order_id):
        raise not_found("order")
    repository = RefundRepository(call.session)
    page = repository.list_page(order_id, asked)
    total = repository.count(order_id) if call.wants_total else None
    return call.page(page, asked, total)


@refunds.mutation(
    "POST",
    "/<id:order_id>/refunds",
    scope="orders:write",
    body=RefundBody,
    returns=RefundSchema,
    status=201,
)
def refund_order(call: Call, order_id: UUID) -> Reply:
    """Refund an order, by lines and shipping, or by amount.

    Units are refunded at what was paid for them: after discounts, with their tax. Never more than
    was paid is given back; without `payment_id` it comes from the newest payment first. Goods that
    come back are recorded by a return. Refunded units are those that came back, then those that
    have not left: these are not fulfilled any more, and their stock is free. A refunded amount
    names no units: they still leave, and it is owed again unless the order was paid.
    """
    order = lock_order(call.work, order_id)
    call.require_version(order.version)
    hold = timedelta(seconds=call.services.settings.order_hold_seconds)
    row = service.refund_order(call.work, order, call.body, hold)
    return Reply(row.body.encode(), 201)
