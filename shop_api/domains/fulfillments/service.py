"""Handing goods over and taking them back; knows no HTTP. The order is locked by whoever calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.db.json import encode_json
from shop_api.domains.fulfillments import errors
from shop_api.domains.fulfillments.repository import FulfillmentRepository
from shop_api.domains.orders.errors import illegal_move, lines_not_found, too_many_units
from shop_api.domains.orders.repository import OrderRepository
from shop_api.domains.orders.service import announce_move, move_stock, show_order
from shop_api.domains.payments.service import check_covered, payment_due
from shop_api.kernel.errors import DomainError
from shop_api.kernel.ids import new_id
from shop_api.spine.unit_of_work import UnitOfWork


def fulfillment_status(lines: Sequence[Any]) -> str:
    """An order's fulfillment_status, from nothing but its lines."""
    wanted = sum(line.quantity - line.cancelled_quantity for line in lines)
    fulfilled = sum(line.fulfilled_quantity for line in lines)
    if fulfilled == 0:
        return "unfulfilled"
    if fulfilled < wanted:
        return "partial"
    returned = sum(line.returned_quantity for line in lines)
    return "returned" if returned == wanted else "fulfilled"


def fulfill_order(work: UnitOfWork, order: Row[Any], body: dict[str, Any]) -> Row[Any]:
    """Hand over some units, all that remain unless `lines` says which; the fulfilment's row.

    Their stock leaves the shelf. Raises `illegal_state_change`, `line_not_found`,
    `quantity_exceeds_remaining`, `nothing_to_fulfill`, `payment_required`, `order_refunded` or
    `stock_below_zero`.
    """
    if order.status != "processing":
        raise _too_early(work, order, "fulfilled")
    lines = work.repository(OrderRepository).list_lines(order.id)
    leaving = _leaving(lines, body.get("lines"))
    if not leaving:
        raise errors.NOTHING_LEFT
    check_covered(work, order)
    return _hand_over(work, order, leaving, body)


def complete_order(work: UnitOfWork, order: Row[Any]) -> Row[Any]:
    """Hand over what remains, and close the order; its resource row.

    Raises `illegal_state_change` unless it is processing, and `payment_required` or
    `order_refunded` when something remains that no money is there for.
    """
    if order.status != "processing":
        raise _too_early(work, order, "completed")
    orders = work.repository(OrderRepository)
    lines = orders.list_lines(order.id)
    leaving = _leaving(lines, None)
    if leaving:
        check_covered(work, order)
        _hand_over(work, order, leaving, {})
    orders.change(
        order.id,
        {
            "status": "completed",
            "hold_expires_at": None,
            "completed_at": work.now,
            "updated_at": work.now,
        },
    )
    announce_move(work, order.id, order.status, "completed")
    work.audit(
        "order_completed",
        "order",
        order.id,
        {"status": order.status},
        {"status": "completed"},
    )
    return show_order(work, order.id)


def return_goods(work: UnitOfWork, order: Row[Any], body: dict[str, Any]) -> Row[Any]:
    """Take back units that had been handed over; the return's row.

    Those to be restocked are on their shelf again. Raises `line_not_found` or
    `quantity_exceeds_remaining`.
    """
    lines = work.repository(OrderRepository).list_lines(order.id)
    left = {line.id: line.fulfilled_quantity - line.returned_quantity for line in lines}
    coming = _chosen(lines, body["lines"], left, "returned")
    is_restocked = {item["line_id"]: item.get("restock", True) for item in body["lines"]}
    return_id = new_id(work.now)
    repository = work.repository(FulfillmentRepository)
    repository.add_return(
        {
            "id": return_id,
            "order_id": order.id,
            "reason": body.get("reason"),
            "lines": encode_json(
                [
                    {
                        "line_id": line.id,
                        "quantity": quantity,
                        "is_restocked": is_restocked[line.id],
                    }
                    for line, quantity in coming
                ]
            ),
            "now": work.now,
        }
    )
    back = [(line, quantity) for line, quantity in coming if is_restocked[line.id]]
    move_stock(
        work,
        order.id,
        _on_their_shelves(work, back),
        quantity_sign=1,
        reserved_sign=0,
        reason="returned",
    )
    what = {"return_id": str(return_id), "units": sum(quantity for _, quantity in coming)}
    _settle_goods(work, order, "order_returned", what)
    return repository.get_return(return_id)


def _too_early(work: UnitOfWork, order: Row[Any], wanted: str) -> DomainError:
    """An order that is not processing: a pending one is once there is money for it."""
    is_pending = order.status == "pending"
    return illegal_move(order.status, wanted, payment_due(work, order) if is_pending else "")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where units of a variant are put."""

    variant_id: UUID
    location_id: UUID


def _on_their_shelves(
    work: UnitOfWork, coming: list[tuple[Row[Any], int]]
) -> list[tuple[Shelf, int]]:
    """Units of lines that were held, by the shelf they go to: theirs, or the default location's."""
    held = [(line, quantity) for line, quantity in coming if line.location_id is not None]
    if not held:
        return []
    places = sorted({(line.variant_id, line.location_id) for line, _ in held})
    shelves = work.repository(FulfillmentRepository).find_shelves(places, work.now)
    return [
        (Shelf(line.variant_id, shelves[line.variant_id, line.location_id]), quantity)
        for line, quantity in held
    ]


def _leaving(
    lines: list[Row[Any]], wanted: list[dict[str, Any]] | None
) -> list[tuple[Row[Any], int]]:
    left = {line.id: line.left_quantity for line in lines}
    if wanted is None:
        return [(line, left[line.id]) for line in lines if left[line.id]]
    return _chosen(lines, wanted, left, "fulfilled")


def _chosen(
    lines: list[Row[Any]], wanted: list[dict[str, Any]], left: dict[UUID, int], what: str
) -> list[tuple[Row[Any], int]]:
    """The lines that were named, with their quantities, once each has that many left."""
    by_id = {line.id: line for line in lines}
    ids = [item["line_id"] for item in wanted]
    unknown = {index: line_id for index, line_id in enumerate(ids) if line_id not in by_id}
    if unknown:
        raise lines_not_found(unknown)
    over = {
        index: left[item["line_id"]]
        for index, item in enumerate(wanted)
        if item["quantity"] > left[item["line_id"]]
    }
    if over:
        raise too_many_units(over, what)
    return [(by_id[item["line_id"]], item["quantity"]) for item in wanted]


def _hand_over(
    work: UnitOfWork,
    order: Row[Any],
    leaving: list[tuple[Row[Any], int]],
    body: dict[str, Any],
) -> Row[Any]:
    fulfillment_id = new_id(work.now)
    repository = work.repository(FulfillmentRepository)
    repository.add_fulfillment(
        {
            "id": fulfillment_id,
            "order_id": order.id,
            "carrier": body.get("carrier"),
            "tracking_number": body.get("tracking_number"),
            "tracking_url": body.get("tracking_url"),
            "lines": encode_json(
                [{"line_id": line.id, "quantity": quantity} for line, quantity in leaving]
            ),
            "now": work.now,
        }
    )
    move_stock(work, order.id, leaving, quantity_sign=-1, reserved_sign=-1, reason="sold")
    what = {
        "fulfillment_id": str(fulfillment_id),
        "units": sum(quantity for _, quantity in leaving),
    }
    _settle_goods(work, order, "order_fulfilled", what)
    return repository.get_fulfillment(fulfillment_id)


def _settle_goods(work: UnitOfWork, order: Row[Any], event: str, what: dict[str, Any]) -> None:
    """Bring the order to what its lines say, and announce `event`."""
    orders = work.repository(OrderRepository)
    status = fulfillment_status(orders.list_lines(order.id))
    orders.change(order.id, {"fulfillment_status": status, "updated_at": work.now})
    work.append(
        event,
        "order",
        order.id,
        {"order_id": str(order.id), **what, "fulfillment_status": status},
    )
    work.audit(
        event,
        "order",
        order.id,
        {"fulfillment_status": order.fulfillment_status},
        {"fulfillment_status": status, **what},
    )
