"""Discounts, taxes and shipping for tests: shops that have them, and calls of their repository."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from shop_api.db.json import encode_json
from shop_api.db.keyset import PageRequest
from shop_api.domains.pricing.repository import DISCOUNT, SHIPPING_RATE, TAX_RATE
from shop_api.kernel.ids import new_id
from tests.fixtures.api import Answered, Shop

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADDRESS = {"line1": "Via Roma 1", "city": "Torino", "region": "TO", "country": "IT"}


def make(shop: Shop, noun: str, **body: Any) -> dict[str, Any]:
    """One of /discounts, /tax_rates or /shipping_rates."""
    answered = shop.api.post(f"/api/v1/{noun}", body)
    assert answered.status == 201, answered.body
    made: dict[str, Any] = answered.json
    return made


def percent_off(
    shop: Shop, percentage: str, code: str | None = None, **body: Any
) -> dict[str, Any]:
    """A discount of a percentage; without a code it applies by itself."""
    value = {"kind": "percentage", "percentage": Decimal(percentage)}
    return make(shop, "discounts", code=code, title=f"{percentage} % off", **value, **body)


def amount_off(shop: Shop, amount: str, code: str | None = None, **body: Any) -> dict[str, Any]:
    """A discount of an amount."""
    value = {"kind": "fixed", "amount": Decimal(amount)}
    return make(shop, "discounts", code=code, title=f"{amount} off", **value, **body)


def tax(shop: Shop, rate: str, country: str = "IT", **body: Any) -> dict[str, Any]:
    """A tax rate."""
    return make(shop, "tax_rates", name=f"Tax {rate}", rate=Decimal(rate), country=country, **body)


def shipping(shop: Shop, price: str = "4.90", **body: Any) -> dict[str, Any]:
    """A shipping rate, flat unless said otherwise."""
    made = {"name": f"Post {price}", "kind": "flat", "price": Decimal(price), **body}
    return make(shop, "shipping_rates", **made)


def place(shop: Shop, *lines: tuple[dict[str, Any], int], **body: Any) -> Answered:
    """Order (product, quantity) lines."""
    wanted = [{"variant_id": p["variants"][0]["id"], "quantity": q} for p, q in lines]
    return shop.api.post("/api/v1/orders", {"lines": wanted, **body})


# what an order's statement takes, of an order that comes to nothing
AN_ORDERS_AMOUNTS: dict[str, Any] = {
    **dict.fromkeys(("subtotal", "discount_total", "shipping_total", "tax_total", "total"), 0),
    **dict.fromkeys(("shipping_address", "billing_address", "shipping_method")),
    "shipping_tax_total": 0,
    "tax_included": False,
    "discounts": encode_json([]),
}
NO_TERMS: dict[str, Any] = {
    "customer_id": None,
    "codes": [],
    "is_in_person": False,
    **dict.fromkeys(("country", "region", "shipping_rate_id")),
}


def discounted_order(shop: Shop) -> dict[str, UUID]:
    """An order of a customer with a discount; the ids of the three."""
    buyer = shop.api.post("/api/v1/customers", {"first_name": "Ada"}).json["id"]
    discount = percent_off(shop, "10", "TEN")
    codes = {"discount_codes": ["TEN"], "customer_id": buyer}
    order = place(shop, (shop.product(), 1), **codes).json
    return {
        "buyer_id": UUID(buyer),
        "used_discount_id": UUID(discount["id"]),
        "discounted_order_id": UUID(order["id"]),
    }


def _one(name: str) -> Callable[[Any], tuple[Any, ...]]:
    return lambda victim: (victim.ids[name],)


# each method of the repository, called with the rows of another tenant (test_tenant_wall.py)
PRICING: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "add": lambda _: (
        DISCOUNT,
        {
            "id": new_id(NOW),
            "title": "x",
            "kind": "free_shipping",
            "currency": "USD",
            "created_at": NOW,
            "updated_at": NOW,
        },
    ),
    "change": lambda victim: (
        DISCOUNT,
        victim.ids["discount_id"],
        {"title": "taken over", "updated_at": NOW},
    ),
    "count": lambda _: (TAX_RATE, {}),
    "count_uses": lambda victim: (victim.ids["used_discount_id"], victim.ids["buyer_id"]),
    "delete": lambda victim: (SHIPPING_RATE, victim.ids["shipping_rate_id"]),
    "find": lambda victim: (DISCOUNT, victim.ids["discount_id"]),
    "list_page": lambda _: (
        TAX_RATE,
        {},
        PageRequest(TAX_RATE.sort, is_descending=False, limit=10),
    ),
    "lock_discount": _one("discount_id"),
    "release_discounts": _one("discounted_order_id"),
    "use_discount": _one("discount_id"),
}
