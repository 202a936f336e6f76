"""A small shop in New York whose every figure is worked out by hand in the tests that use it.

Clocks change on 8 March 2026 (02:00 → 03:00) and 1 November 2026 (02:00 → 01:00).

- o0: 20 Feb 12:00, web, customer c1: 1 cup at 5.50; completed.
- o1: 7 Mar 23:30, web, c1: 2 teas at 10.00 less 1.00, tax 1.52; 1 cup at 5.50, tax 0.44; shipping
  4.00; paid 30.46 by card, completed. On 1 Apr one tea is refunded: 9.50, tax 0.76, shipping 1.00.
- o2: 8 Mar 01:30, web, c2: 1 tea at 10.00; pending.
- o3: 8 Mar 03:30, pos, c1: 3 spoons at 2.00; paid 6.00 in cash, processing.
- o4: 31 Mar 12:00, web, c3: 2 cups at 5.50, tax 0.50; shipping 3.00; paid 14.50 by card. On 1 Apr a
  cup is refunded, 5.50; on 2 Apr the order is cancelled; on 3 Apr the other cup is refunded.
- o5: 8 Mar 12:00, web, c2: 1 tea at 8.00 in EUR; pending.
- o6, o7: 1 Nov 01:30, the first and the second, web, guests: 1 tea at 10.00; pending.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

TENANT = "0198c0de-0000-7000-8000-000000000001"
TIMEZONE = "America/New_York"

O0_AT = datetime(2026, 2, 20, 17, 0, tzinfo=UTC)
O1_AT = datetime(2026, 3, 8, 4, 30, tzinfo=UTC)
O2_AT = datetime(2026, 3, 8, 6, 30, tzinfo=UTC)
O3_AT = datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
O4_AT = datetime(2026, 3, 31, 16, 0, tzinfo=UTC)
O4_CANCELLED_AT = datetime(2026, 4, 2, 14, 0, tzinfo=UTC)
O5_AT = datetime(2026, 3, 8, 16, 0, tzinfo=UTC)
O6_AT = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
O7_AT = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
R1_AT = datetime(2026, 4, 1, 13, 0, tzinfo=UTC)
R2_AT = datetime(2026, 4, 1, 15, 0, tzinfo=UTC)
R3_AT = datetime(2026, 4, 3, 15, 0, tzinfo=UTC)

D = Decimal


def _order(id: str, at: datetime, status: str, fulfillment: str, **values: Any) -> dict[str, Any]:
    return {
        "order_id": id,
        "number": int(id[1:]) + 1,
        "status": status,
        "payment_status": "unpaid",
        "fulfillment_status": fulfillment,
        "channel": "web",
        "currency": "USD",
        "placed_at": at,
        **values,
    }


ORDERS = [
    _order("o0", O0_AT, "completed", "fulfilled", customer_id="c1", units=1, gross_sales=D("5.50")),
    _order(
        "o1", O1_AT, "completed", "fulfilled", customer_id="c1", units=3, gross_sales=D("25.50"),
        discounts=D("1.00"), shipping=D("4.00"), taxes=D("1.96"), total=D("30.46"),
    ),
    _order("o2", O2_AT, "pending", "unfulfilled", customer_id="c2", units=1, gross_sales=D("10")),
    _order(
        "o3", O3_AT, "processing", "partial", customer_id="c1", units=3, gross_sales=D("6.00"),
        channel="pos",
    ),
    _order(
        "o4", O4_AT, "cancelled", "unfulfilled", customer_id="c3", units=2, gross_sales=D("11.00"),
        shipping=D("3.00"), taxes=D("0.50"), cancelled_at=O4_CANCELLED_AT,
    ),
    _order(
        "o5", O5_AT, "pending", "unfulfilled", customer_id="c2", units=1, gross_sales=D("8.00"),
        currency="EUR",
    ),
    _order("o6", O6_AT, "pending", "unfulfilled", units=1, gross_sales=D("10.00")),
    _order("o7", O7_AT, "pending", "unfulfilled", units=1, gross_sales=D("10.00")),
]  # fmt: skip

_BY_ID = {order["order_id"]: order for order in ORDERS}


def _of_order(order_id: str, *names: str) -> dict[str, Any]:
    order = _BY_ID[order_id]
    shared = ("order_id", "currency", "channel", "placed_at", "cancelled_at", *names)
    return {name: order[name] for name in shared if name in order}


def _line(
    order_id: str, product_id: str, quantity: int, price: str, **values: Any
) -> dict[str, Any]:
    return {
        **_of_order(order_id, "customer_id"),
        "order_status": _BY_ID[order_id]["status"],
        "line_id": f"{order_id}-{product_id}",
        "product_id": product_id,
        "variant_id": product_id,
        "quantity": quantity,
        "unit_price": D(price),
        "gross_sales": D(price) * quantity,
        **values,
    }


LINES = [
    _line("o0", "cup", 1, "5.50", category_id="cups"),
    _line("o1", "tea", 2, "10.00", category_id="teas", discounts=D("1.00"), taxes=D("1.52")),
    _line("o1", "cup", 1, "5.50", category_id="cups", taxes=D("0.44")),
    _line("o2", "tea", 1, "10.00", category_id="teas"),
    _line("o3", "spoon", 3, "2.00"),
    _line("o4", "cup", 2, "5.50", category_id="cups", taxes=D("0.50")),
    _line("o5", "tea", 1, "8.00", category_id="teas"),
    _line("o6", "tea", 1, "10.00", category_id="teas"),
    _line("o7", "tea", 1, "10.00", category_id="teas"),
]


def _payment(order_id: str, method: str, amount: str, status: str = "captured") -> dict[str, Any]:
    return {
        **_of_order(order_id),
        "payment_id": f"{order_id}-{method}-{status}",
        "order_status": _BY_ID[order_id]["status"],
        "method": method,
        "provider": "manual",
        "status": status,
        "amount": D(amount),
        "created_at": _BY_ID[order_id]["placed_at"],
    }


PAYMENTS = [
    _payment("o1", "credit_card", "30.46"),
    _payment("o1", "credit_card", "30.46", "failed"),
    _payment("o3", "cash", "6.00"),
    _payment("o4", "credit_card", "14.50"),
    # taken after the cancelling, by mistake: it counts nowhere
    {**_payment("o4", "cash", "1.00"), "created_at": R3_AT},
]


def _refund(id: str, order_id: str, at: datetime, **values: Any) -> dict[str, Any]:
    return {**_of_order(order_id), "refund_id": id, "refunded_at": at, **values}


REFUNDS = [
    _refund(
        "r1", "o1", R1_AT, line_id="o1-tea", product_id="tea", quantity=1, goods_amount=D("9.50")
    ),
    _refund("r1", "o1", R1_AT, tax_amount=D("0.76"), shipping_amount=D("1.00")),
    _refund(
        "r2", "o4", R2_AT, line_id="o4-cup", product_id="cup", quantity=1, goods_amount=D("5.50")
    ),
    _refund(
        "r3", "o4", R3_AT, line_id="o4-cup", product_id="cup", quantity=1, goods_amount=D("5.50")
    ),
]


def _day(basis: str, day: date, channel: str = "web", **values: Any) -> dict[str, Any]:
    return {
        "basis": basis,
        "day": day,
        "currency": "USD",
        "channel": channel,
        "timezone": TIMEZONE,
        **values,
    }


_ONE_PENDING = {"orders": 1, "pending_orders": 1, "units": 1}
_SAME_IN_BOTH: list[tuple[date, str, dict[str, Any]]] = [
    (
        date(2026, 2, 20), "web",
        {"orders": 1, "completed_orders": 1, "units": 1, "gross_sales": D("5.50")},
    ),
    (date(2026, 3, 8), "web", {**_ONE_PENDING, "gross_sales": D("10.00")}),
    (
        date(2026, 3, 8), "pos",
        {"orders": 1, "processing_orders": 1, "units": 3, "gross_sales": D("6.00")},
    ),
    (
        date(2026, 11, 1), "web",
        {"orders": 2, "pending_orders": 2, "units": 2, "gross_sales": D("20.00")},
    ),
    (date(2026, 3, 8), "web", {**_ONE_PENDING, "gross_sales": D("8.00"), "currency": "EUR"}),
]  # fmt: skip

DAILY_SALES = [
    _day(basis, day, channel, **values)
    for basis in ("order_date", "event_date")
    for day, channel, values in _SAME_IN_BOTH
] + [
    _day(
        "order_date", date(2026, 3, 7), orders=1, completed_orders=1, units=3,
        gross_sales=D("25.50"), discounts=D("1.00"), returns=D("9.50"), shipping=D("3.00"),
        taxes=D("1.20"),
    ),
    _day("order_date", date(2026, 3, 31), cancelled_orders=1),
    _day(
        "event_date", date(2026, 3, 7), orders=1, completed_orders=1, units=3,
        gross_sales=D("25.50"), discounts=D("1.00"), shipping=D("4.00"), taxes=D("1.96"),
    ),
    _day(
        "event_date", date(2026, 3, 31), orders=1, units=2, gross_sales=D("11.00"),
        shipping=D("3.00"), taxes=D("0.50"),
    ),
    _day(
        "event_date", date(2026, 4, 1), returns=D("15.00"), shipping=D("-1.00"), taxes=D("-0.76"),
    ),
    _day(
        "event_date", date(2026, 4, 2), orders=-1, cancelled_orders=1, units=-2,
        gross_sales=D("-11.00"), returns=D("-5.50"), shipping=D("-3.00"), taxes=D("-0.50"),
    ),
]  # fmt: skip

_CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def _product(id: str, price: str, status: str = "active", **values: Any) -> dict[str, Any]:
    return {
        "product_id": id,
        "name": id.title(),
        "sku": id.upper(),
        "status": status,
        "price": D(price),
        "currency": "USD",
        "categories": [],
        "created_at": _CREATED_AT,
        **values,
    }


PRODUCTS = [
    _product("tea", "10.00", category_id="teas", category_name="Teas", categories=["Teas"]),
    _product("cup", "5.50", category_id="cups", category_name="Cups", categories=["Cups"]),
    _product("spoon", "2.00"),
    _product("pot", "40.00", "draft", category_id="teas", category_name="Teas"),
    _product("mug", "4.00", "archived"),
]


def _customer(
    id: str, first: datetime | None, last: datetime | None, orders: int
) -> dict[str, Any]:
    return {
        "customer_id": id,
        "first_order_at": first,
        "last_order_at": last,
        "orders": orders,
        "created_at": _CREATED_AT,
    }


CUSTOMERS = [
    _customer("c1", O0_AT, O3_AT, 3),
    _customer("c2", O2_AT, O5_AT, 2),
    _customer("c3", None, None, 0),
]

TABLES: dict[str, list[dict[str, Any]]] = {
    "orders": ORDERS,
    "order_lines": LINES,
    "payments": PAYMENTS,
    "refunds": REFUNDS,
    "daily_sales": DAILY_SALES,
    "dim_products": PRODUCTS,
    "dim_customers": CUSTOMERS,
}
