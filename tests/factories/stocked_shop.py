"""A small shop in New York whose stock and its figures of March 2026 are worked out by hand.

April begins on 1 April 04:00 UTC. Stock is told as of 15 April.

- tea-g costs 2.00: 11 lay there at the end of March, 4 of them reserved; 3 left with April's first
  instant. Sold in March: 4 for 80.00 less 5.00, of which one came back in April, was restocked and
  refunded with 20.00; and 1 in EUR, on the day when clocks change.
- tea-k, of no known cost: 2 were sold and handed over in March's last minute; none was there.
- cup-1 costs 3.00: 4 at the main location, last sold on 1 December; of March one was cancelled, and
  one was sold in April. 6 came to the outlet on 2 April.
- spoon-1 costs 1.00: 50, never sold. spoon-n: 5, since 30 March, with a cost in EUR. No category.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

TENANT = "0198c0de-0000-7000-8000-000000000003"
TIMEZONE = "America/New_York"
OLD = datetime(2025, 1, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, 4, tzinfo=UTC)
LAST_MINUTE = datetime(2026, 4, 1, 3, 59, 59, 999999, tzinfo=UTC)
D = Decimal


def _product(id: str, name: str, category: str | None) -> dict[str, Any]:
    return {
        "product_id": id,
        "name": name,
        "status": "active",
        "currency": "USD",
        "category_id": category,
        "category_name": category and category.title(),
        "categories": [],
        "created_at": OLD,
    }


def _variant(id: str, product: str, cost: str | None, **values: Any) -> dict[str, Any]:
    return {
        "variant_id": id,
        "product_id": product,
        "title": id.upper(),
        "sku": f"sku-{id}",
        "cost": None if cost is None else D(cost),
        "currency": "USD",
        "created_at": OLD,
        **values,
    }


def _movement(
    at: datetime, variant: str, place: str, quantity: int, **values: Any
) -> dict[str, Any]:
    return {
        "movement_key": f"{at:%Y-%m-%dT%H:%M:%S.%f}/{variant}",
        "variant_id": variant,
        "location_id": place,
        "quantity_delta": quantity,
        "reason": "adjusted",
        "moved_at": at,
        **values,
    }


def _line(
    id: str, variant: str, at: datetime, quantity: int, gross: str, **values: Any
) -> dict[str, Any]:
    return {
        "order_id": f"o-{id}",
        "line_id": id,
        "product_id": variant.split("-", maxsplit=1)[0],
        "variant_id": variant,
        "location_id": "main",
        "quantity": quantity,
        "gross_sales": D(gross),
        "currency": "USD",
        "channel": "web",
        "placed_at": at,
        "order_status": "completed",
        **values,
    }


def _march(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


TABLES: dict[str, list[dict[str, Any]]] = {
    "dim_products": [
        _product("tea", "Tea", "teas"),
        _product("cup", "Cup", "cups"),
        _product("spoon", "Spoon", None),
    ],
    "dim_variants": [
        _variant("tea-g", "tea", "2.00"),
        _variant("tea-k", "tea", None),
        _variant("cup-1", "cup", "3.00"),
        _variant("spoon-1", "spoon", "1.00"),
        _variant("spoon-n", "spoon", "1.00", currency="EUR", created_at=_march(30)),
    ],
    "stock_levels": [
        {"variant_id": "tea-g", "location_id": "main", "quantity": 8, "reserved": 1},
        {"variant_id": "tea-k", "location_id": "main", "quantity": -2},
        {"variant_id": "cup-1", "location_id": "main", "quantity": 4},
        {"variant_id": "cup-1", "location_id": "outlet", "quantity": 6},
        {"variant_id": "spoon-1", "location_id": "main", "quantity": 50},
        {"variant_id": "spoon-n", "location_id": "main", "quantity": 5},
        # of a variant that is deleted
        {"variant_id": "gone", "location_id": "main", "quantity": 9},
    ],
    "inventory_movements": [
        _movement(LAST_MINUTE, "tea-k", "main", -2, reason="sold"),
        _movement(APRIL, "tea-g", "main", -3, reserved_delta=-3, reason="sold"),
        _movement(datetime(2026, 4, 2, tzinfo=UTC), "cup-1", "outlet", 6, reason="received"),
    ],
    "order_lines": [
        _line("l1", "tea-g", _march(5), 4, "80.00", discounts=D("5.00")),
        _line("l2", "tea-g", _march(8, 7), 1, "20.00", currency="EUR"),
        _line("l3", "tea-k", LAST_MINUTE, 2, "15.00"),
        _line("l4", "cup-1", _march(10), 1, "5.00", cancelled_at=_march(11)),
        _line("l5", "cup-1", datetime(2025, 12, 1, tzinfo=UTC), 1, "5.00"),
        _line("l6", "cup-1", APRIL, 1, "5.00"),
        # of no variant of the catalogue
        _line("l7", "old", _march(6), 9, "900.00", variant_id=None, product_id=None),
    ],
    "refunds": [
        {
            "refund_id": "r1",
            "order_id": "o-l1",
            "line_id": "l1",
            "product_id": "tea",
            "quantity": 1,
            "goods_amount": D("20.00"),
            "currency": "USD",
            "channel": "web",
            "placed_at": _march(5),
            "refunded_at": datetime(2026, 4, 3, tzinfo=UTC),
        }
    ],
}
