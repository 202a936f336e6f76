"""Cancelling over HTTP."""

from uuid import UUID

from shop_api.domains.cancellations import service
from shop_api.domains.cancellations.schemas import CancelBody
from shop_api.domains.orders.schemas import OrderSchema
from shop_api.domains.orders.service import lock_order
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

cancellations = Blueprint(
    "cancellations",
    __name__,
    url_prefix="/api/v1/orders",
    description="Call orders off: stock is free again, money goes back.",
)


@cancellations.mutation(
    "POST", "/<id:order_id>/cancel", scope="orders:write", body=CancelBody, returns=OrderSchema
)
def cancel_order(call: Call, order_id: UUID) -> Reply:
    """Cancel a pending or processing order of which nothing was fulfilled.

    Held stock is free again, authorized payments are voided, captured ones refunded.
    """
    order = lock_order(call.work, order_id)
    call.require_version(order.version)
    row = service.cancel_order(
        call.work,
        order,
        call.body.get("reason"),
        restock=call.body.get("restock", True),
    )
    return Reply.resource(row)
