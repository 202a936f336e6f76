"""Payments over HTTP."""

from datetime import timedelta
from uuid import UUID

from shop_api.domains.orders.repository import OrderRepository
from shop_api.domains.orders.schemas import OrderSchema
from shop_api.domains.orders.service import lock_order
from shop_api.domains.payments import service
from shop_api.domains.payments.repository import PAYMENTS_BY_CREATED_AT, PaymentRepository
from shop_api.domains.payments.schemas import CaptureBody, PaymentBody, PaymentPage, PaymentQuery
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

payments = Blueprint(
    "payments",
    __name__,
    url_prefix="/api/v1/orders",
    description="Pay orders: at once, or authorize now and capture later.",
)
RULE = "/<id:order_id>/payments"


@payments.read(RULE, scope="orders:read", query=PaymentQuery, returns=PaymentPage)
def list_payments(call: Call, order_id: UUID) -> Reply:
    """List an order's payments, oldest first."""
    asked = call.page_request(PAYMENTS_BY_CREATED_AT, is_descending=False)
    if not OrderRepository(call.session).exists(order_id):
        raise not_found("order")
    repository = PaymentRepository(call.session)
    page = repository.list_page(order_id, asked)
    total = repository.count(order_id) if call.wants_total else None
    return call.page(page, asked, total)


@payments.mutation(
    "POST", RULE, scope="orders:write", body=PaymentBody, returns=OrderSchema, status=201
)
def pay_order(call: Call, order_id: UUID) -> Reply:
    """Pay an order, in full or in part.

    The answer is the order. A declined payment is recorded on it as `failed`, with its
    `failure_code`, and pays nothing: look at the last of `payments`. Paid or authorized in full, a
    pending order is processing.
    """
    order = lock_order(call.work, order_id)
    call.require_version(order.version)
    return Reply.resource(service.pay_order(call.work, order, call.body), 201)


@payments.mutation(
    "POST",
    RULE + "/<id:payment_id>/capture",
    scope="orders:write",
    body=CaptureBody,
    returns=OrderSchema,
)
def capture_payment(call: Call, order_id: UUID, payment_id: UUID) -> Reply:
    """Capture an authorized payment, all of it or a part; the rest is released."""
    order = lock_order(call.work, order_id)
    call.require_version(order.version)
    amount = call.body.get("amount")
    return Reply.resource(service.capture_payment(call.work, order, payment_id, amount))


@payments.mutation(
    "POST", RULE + "/<id:payment_id>/void", scope="orders:write", returns=OrderSchema
)
def void_payment(call: Call, order_id: UUID, payment_id: UUID) -> Reply:
    """Void a payment that is authorized or pending: it will not be captured.

    An order without money cannot be fulfilled. Unless a part of it was, it is given up in time, as
    when it was placed: pay it, or it is cancelled.
    """
    order = lock_order(call.work, order_id)
    call.require_version(order.version)
    hold = timedelta(seconds=call.services.settings.order_hold_seconds)
    return Reply.resource(service.void_payment(call.work, order, payment_id, hold))
