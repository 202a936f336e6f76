"""An order with all that hangs on it, and a call of each repository method about it.

For the test of the wall between tenants.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from shop_api.db.json import encode_json
from shop_api.db.keyset import PageRequest
from shop_api.db.tenancy import Repository
from shop_api.domains.fulfillments import repository as fulfillments
from shop_api.domains.fulfillments.repository import FulfillmentRepository
from shop_api.domains.orders import repository as orders
from shop_api.domains.orders.repository import OrderRepository
from shop_api.domains.payments import repository as payments
from shop_api.domains.payments.repository import PaymentRepository
from shop_api.domains.refunds import repository as refunds
from shop_api.domains.refunds.repository import RefundRepository
from shop_api.kernel.ids import new_id
from shop_api.providers.simulated import AUTHORIZED_ONLY
from tests.factories.pricing import NO_TERMS
from tests.fixtures.api import Shop

NOW = datetime(2026, 1, 1, tzinfo=UTC)
# of a victim, which has `ids` and a `product`
Arguments = Callable[[Any], tuple[Any, ...]]


def lived_order(shop: Shop, product: dict[str, Any]) -> dict[str, UUID]:
    """The ids of a paid, half fulfilled, returned and refunded order, and of what hangs on it."""
    order = shop.order((product["variants"][0]["id"], 3)).json
    path = f"/api/v1/orders/{order['id']}"
    line_id = order["lines"][0]["id"]
    paid = shop.api.post(f"{path}/payments", {"method": "cash", "amount": 10}).json
    held = shop.api.post(
        f"{path}/payments",
        {"provider": "simulated", "method": "card", "card_number": AUTHORIZED_ONLY},
    ).json
    found = {
        "order_id": order["id"],
        "line_id": line_id,
        "payment_id": paid["payments"][0]["id"],
        # of a simulated payment the reference is its id
        "held_payment_id": held["payments"][-1]["id"],
    }
    some = {"lines": [{"line_id": line_id, "quantity": 2}]}
    for noun, body in (("fulfillment", some), ("return", some), ("refund", {"amount": 1})):
        found[f"{noun}_id"] = shop.api.post(f"{path}/{noun}s", body).json["id"]
    return {name: UUID(value) for name, value in found.items()}


def one(name: str) -> Arguments:
    return lambda victim: (victim.ids[name],)


def change(subject: str, /, **values: Any) -> Arguments:
    return lambda victim: (victim.ids[subject], {**values, "updated_at": NOW})


def page(sort: Any) -> PageRequest:
    return PageRequest(sort, is_descending=False, limit=10)


def of_order(sort: Any) -> Arguments:
    return lambda victim: (victim.ids["order_id"], page(sort))


def a_hold(victim: Any) -> tuple[dict[str, Any]]:
    wanted = {"variant_id": victim.variant_id, "wanted": 1, "movement_id": new_id(NOW)}
    return (
        {
            "variant_ids": [victim.variant_id],
            **NO_TERMS,
            "wanted": encode_json([wanted]),
            "order_id": victim.ids["order_id"],
            "actor": "system:test",
            "now": NOW,
        },
    )


def a_move(victim: Any) -> tuple[dict[str, Any]]:
    level = {"variant_id": victim.variant_id, "location_id": victim.ids["location_id"]}
    moves = encode_json([{**level, "quantity_delta": -1, "reserved_delta": -1}])
    common = {"order_id": victim.ids["order_id"], "actor": "system:test", "now": NOW}
    return ({**common, "moves": moves, "reason": "sold", "is_write_off": False},)


def a_payment(victim: Any) -> tuple[dict[str, Any]]:
    money = {"amount": 1, "currency": "USD", "created_at": NOW}
    names = {"provider": "manual", "method": "cash", "status": "captured"}
    return ({"id": new_id(NOW), "order_id": victim.ids["order_id"], **names, **money},)


def a_callback(victim: Any) -> tuple[dict[str, Any]]:
    told = {"provider": "simulated", "callback_id": uuid4().hex, "outcome": "captured"}
    return ({**told, "payment_id": victim.ids["payment_id"], "now": NOW},)


def a_refund(victim: Any) -> tuple[dict[str, Any]]:
    line = {"id": new_id(NOW), "line_id": victim.ids["line_id"], "quantity": 1}
    line["cancelled_quantity"] = 0
    return (
        {
            "id": new_id(NOW),
            "order_id": victim.ids["order_id"],
            "amount": 1,
            "shipping_amount": 0,
            "tax_amount": 0,
            "shipping_tax_amount": 0,
            "currency": "USD",
            "reason": None,
            "lines": encode_json([{**line, "amount": 1, "tax_amount": 0}]),
            "payments": encode_json([{"payment_id": victim.ids["payment_id"], "amount": 1}]),
            "now": NOW,
        },
    )


def goods_out_or_back(victim: Any) -> tuple[dict[str, Any]]:
    line = {"line_id": victim.ids["line_id"], "quantity": 1, "is_restocked": True}
    names = dict.fromkeys(("carrier", "tracking_number", "tracking_url", "reason"))
    header = {"id": new_id(NOW), "order_id": victim.ids["order_id"]}
    return ({**header, **names, "lines": encode_json([line]), "now": NOW},)


ORDER_CALLS: dict[type[Repository], dict[str, Arguments]] = {
    OrderRepository: {
        "change": change("order_id", note="taken over"),
        "count": lambda _: ({},),
        "count_events": one("order_id"),
        "exists": one("order_id"),
        "find": one("order_id"),
        "find_available": lambda victim: ({victim.variant_id},),
        "list_events": of_order(orders.EVENTS_BY_SEQUENCE),
        "list_lines": one("order_id"),
        "list_page": lambda _: ({}, page(orders.ORDER_SORTS["placed_at"])),
        "lock": one("order_id"),
        "move_stock": a_move,
        "reserve": a_hold,
    },
    PaymentRepository: {
        "add": a_payment,
        "add_callback": a_callback,
        "change": change("payment_id", status="voided"),
        "count": one("order_id"),
        "find": lambda victim: (victim.ids["order_id"], victim.ids["payment_id"]),
        "find_by_reference": lambda victim: (
            "simulated",
            f"sim_{victim.ids['held_payment_id'].hex}",
        ),
        "list_open": one("order_id"),
        "list_page": of_order(payments.PAYMENTS_BY_CREATED_AT),
        "renew_hold": lambda victim: (victim.ids["order_id"], NOW, timedelta(hours=1)),
        "sums": one("order_id"),
    },
    FulfillmentRepository: {
        "add_fulfillment": goods_out_or_back,
        "add_return": goods_out_or_back,
        "count_fulfillments": one("order_id"),
        "count_returns": one("order_id"),
        "find_shelves": lambda victim: ([(victim.variant_id, victim.ids["location_id"])], NOW),
        "get_fulfillment": one("fulfillment_id"),
        "get_return": one("return_id"),
        "list_fulfillments": of_order(fulfillments.FULFILLMENTS_BY_CREATED_AT),
        "list_returns": of_order(fulfillments.RETURNS_BY_CREATED_AT),
    },
    RefundRepository: {
        "add": a_refund,
        "count": one("order_id"),
        "get": one("refund_id"),
        "list_captured": one("order_id"),
        "list_page": of_order(refunds.REFUNDS_BY_CREATED_AT),
        "sums": one("order_id"),
    },
}
