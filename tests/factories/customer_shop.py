"""A small shop in New York whose customers' figures are worked out by hand in the tests.

Clocks change on 8 March 2026 (02:00 → 03:00). Web and USD unless told.

- ann: 10 Jan 100.00; 9 Feb, 30 days later, 50.00 less 5.00; 31 Mar, 50 days later, 20.00.
- bob: 31 Jan 23:30 (already February in UTC) 40.00; 8 Mar 01:30, 35 days and 2 hours later, 10.00;
  8 Mar 03:30 on the wall, one hour later, 10.00.
- cat: 5 Jan 7.00 EUR; 15 Feb 80.00, of which 30.00 are refunded on 2 Apr; 10 Mar, 23 days later,
  25.00 at the till.
- dan: 28 Feb 23:30 (already March in UTC) 60.00; 20 Mar 500.00, cancelled on 25 Mar.
- eve: 20 Jan 1000 JPY, cancelled on 5 Feb; 3 Feb 2000 JPY.
- fay: 10 Feb 9.00, cancelled on 12 Feb.
- a guest: 5 Mar 5.00 at the till.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

TENANT = "0198c0de-0000-7000-8000-000000000011"
TIMEZONE = "America/New_York"

D = Decimal


def at(month: int, day: int, hour: int = 12, minute: int = 0) -> datetime:
    """An instant of 2026 in UTC."""
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def _order(
    id: str, customer: str | None, placed_at: datetime, gross_sales: str, **values: Any
) -> dict[str, Any]:
    return {
        "order_id": id,
        "number": 1,
        "customer_id": customer,
        "status": "cancelled" if "cancelled_at" in values else "completed",
        "payment_status": "paid",
        "fulfillment_status": "fulfilled",
        "channel": "web",
        "currency": "USD",
        "placed_at": placed_at,
        "units": 1,
        "gross_sales": D(gross_sales),
        **values,
    }


ORDERS = [
    _order("a1", "ann", at(1, 10), "100.00"),
    _order("a2", "ann", at(2, 9), "50.00", discounts=D("5.00")),
    _order("a3", "ann", at(3, 31), "20.00"),
    _order("b1", "bob", at(2, 1, 4, 30), "40.00"),
    _order("b2", "bob", at(3, 8, 6, 30), "10.00"),
    _order("b3", "bob", at(3, 8, 7, 30), "10.00"),
    _order("c1", "cat", at(1, 5), "7.00", currency="EUR"),
    _order("c2", "cat", at(2, 15), "80.00"),
    _order("c3", "cat", at(3, 10), "25.00", channel="pos"),
    _order("d1", "dan", at(3, 1, 4, 30), "60.00"),
    _order("d2", "dan", at(3, 20), "500.00", cancelled_at=at(3, 25)),
    _order("e1", "eve", at(1, 20), "1000", currency="JPY", cancelled_at=at(2, 5)),
    _order("e2", "eve", at(2, 3), "2000", currency="JPY"),
    _order("f1", "fay", at(2, 10), "9.00", cancelled_at=at(2, 12)),
    _order("g1", None, at(3, 5), "5.00", channel="pos"),
]

REFUNDS = [
    {
        "refund_id": "r1",
        "order_id": "c2",
        "line_id": "c2-1",
        "goods_amount": D("30.00"),
        "currency": "USD",
        "channel": "web",
        "refunded_at": at(4, 2),
        "placed_at": at(2, 15),
    }
]


def _customer(
    id: str, first: datetime | None, last: datetime | None, orders: int
) -> dict[str, Any]:
    return {
        "customer_id": id,
        "first_order_at": first,
        "last_order_at": last,
        "orders": orders,
        "created_at": at(1, 1),
    }


CUSTOMERS = [
    _customer("ann", at(1, 10), at(3, 31), 3),
    _customer("bob", at(2, 1, 4, 30), at(3, 8, 7, 30), 3),
    _customer("cat", at(1, 5), at(3, 10), 3),
    _customer("dan", at(3, 1, 4, 30), at(3, 1, 4, 30), 1),
    _customer("eve", at(2, 3), at(2, 3), 1),
    _customer("fay", None, None, 0),
]

TABLES: dict[str, list[dict[str, Any]]] = {
    "orders": ORDERS,
    "refunds": REFUNDS,
    "dim_customers": CUSTOMERS,
}
