"""Calling orders off, with their money and their goods; knows no HTTP."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.orders import service as orders
from shop_api.domains.orders.errors import goods_have_left
from shop_api.domains.orders.repository import OrderRepository
from shop_api.domains.payments.service import void_open_payments
from shop_api.domains.refunds.service import refund_rest
from shop_api.spine.unit_of_work import UnitOfWork

EXPIRED = "expired"


def cancel_order(
    work: UnitOfWork, order: Row[Any], reason: str | None, *, restock: bool = True
) -> Row[Any]:
    """Call a locked order off; its resource row.

    What is held or pending of its payments is let go, what was captured is refunded, its stock is
    free again. Raises `illegal_state_change` unless it is pending or processing and nothing of it
    was fulfilled.
    """
    orders.check_move(order, "cancelled")
    if order.fulfillment_status != "unfulfilled":
        lines = work.repository(OrderRepository).list_lines(order.id)
        left = sum(line.fulfilled_quantity for line in lines)
        raise goods_have_left(order, left, sum(line.left_quantity for line in lines))
    void_open_payments(work, order)
    refund_rest(work, orders.lock_order(work, order.id), reason or "cancelled")
    orders.cancel_order(work, order, reason, restock=restock)
    return orders.show_order(work, order.id)


def expire_order(work: UnitOfWork, order_id: UUID) -> bool:
    """Cancel an order whose hold has run out; False when a payment was faster."""
    order = orders.lock_order(work, order_id)
    is_due = order.hold_expires_at is not None and order.hold_expires_at <= work.now
    if order.status not in ("pending", "processing") or not is_due:
        return False
    cancel_order(work, order, EXPIRED)
    return True
