"""Random shops as facts of the lake, and what they sold counted row by row in plain Python.

The counting knows nothing of the statements: it says for each order and refund when it counts and
what it adds, by the rules of contracts/daily_sales.py, and adds that up.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.factories.customer_oracle import Asked, dim_customers, scored

Tables = dict[str, list[dict[str, Any]]]

START, END = datetime(2017, 9, 20, tzinfo=UTC), datetime(2017, 12, 10, tzinfo=UTC)
# São Paulo has no midnight on 15 October, Lord Howe half an hour less on 1 October, and New York
# one o'clock twice on 5 November
CLOCKS_MOVE = [
    datetime(2017, 10, 15, 3, tzinfo=UTC),
    datetime(2017, 9, 30, 15, 30, tzinfo=UTC),
    datetime(2017, 11, 5, 6, tzinfo=UTC),
]
PRODUCTS = [
    {"product_id": "tea", "name": "Tea", "category_id": "teas", "category_name": "Teas"},
    {"product_id": "cup", "name": "Cup", "category_id": "cups", "category_name": "Cups"},
    {"product_id": "spoon", "name": "Spoon"},
]
CATEGORIES = {"tea": "teas", "cup": "cups"}

cents = st.decimals(0, 200, places=2)
instants = st.datetimes(
    START.replace(tzinfo=None), END.replace(tzinfo=None), timezones=st.just(UTC)
) | st.tuples(st.sampled_from(CLOCKS_MOVE), st.integers(-90, 90)).map(
    lambda near: near[0] + timedelta(minutes=near[1])
)


def catalogue() -> list[dict[str, Any]]:
    """The rows of dim_products."""
    shared = {"status": "active", "price": Decimal(1), "currency": "BRL", "categories": []}
    return [{**shared, "created_at": START, **product} for product in PRODUCTS]


@st.composite
def _lines(draw: st.DrawFn, shared: dict[str, Any], status: str) -> list[dict[str, Any]]:
    lines = []
    for position in range(draw(st.integers(1, 3))):
        product = draw(st.sampled_from(["tea", "cup", "spoon", None]))
        lines.append(
            {
                **shared,
                "line_id": f"{shared['order_id']}-{position}",
                "product_id": product,
                "variant_id": product and f"{product}-{draw(st.integers(1, 2))}",
                "order_status": status,
                "quantity": draw(st.integers(1, 5)),
                "unit_cost": draw(st.none() | cents),
                "gross_sales": draw(cents),
                "discounts": draw(cents),
            }
        )
    return lines


@st.composite
def _refunds(
    draw: st.DrawFn, shared: dict[str, Any], lines: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    refunds = []
    for position in range(draw(st.integers(0, 2))):
        of_refund = {
            **shared,
            "refund_id": f"{shared['order_id']}-r{position}",
            "refunded_at": draw(instants),
        }
        line = draw(st.sampled_from(lines))
        goods = draw(cents)
        refunds.append(
            {
                **of_refund,
                "line_id": line["line_id"],
                "product_id": line["product_id"],
                "goods_amount": goods,
                "costed_amount": Decimal(0) if line["unit_cost"] is None else goods,
            }
        )
        parts = {name: draw(cents) for name in ("goods_amount", "tax_amount", "shipping_amount")}
        refunds.append({**of_refund, **parts})
    return refunds


@st.composite
def _payments(draw: st.DrawFn, shared: dict[str, Any], status: str) -> list[dict[str, Any]]:
    return [
        {
            **shared,
            "payment_id": f"{shared['order_id']}-p{position}",
            "order_status": status,
            "method": draw(st.sampled_from(["cash", "credit_card"])),
            "provider": "manual",
            "status": draw(st.sampled_from(["captured", "captured", "failed", "authorized"])),
            "created_at": shared["placed_at"],
        }
        for position in range(draw(st.integers(0, 3)))
    ]


@st.composite
def _discounts(
    draw: st.DrawFn, shared: dict[str, Any], lines: list[dict[str, Any]], status: str
) -> list[dict[str, Any]]:
    """Of named ones each on every line, or without line; the rest of a line is unnamed."""
    discounts = []
    for position in range(draw(st.integers(0, 2))):
        code = draw(st.sampled_from(["TEN", "SPRING", None]))
        places = draw(st.sampled_from([[None], [line["line_id"] for line in lines]]))
        discounts += [
            {
                **shared,
                "order_discount_id": f"{shared['order_id']}-d{position}",
                "line_id": place,
                "code": code,
                "title": "Autumn",
                "kind": "percentage" if place else "free_shipping",
                "order_status": status,
            }
            for place in places
        ]
    if draw(st.booleans()):
        of_line = {"line_id": lines[0]["line_id"], "amount": Decimal(1), "order_status": status}
        discounts.append({**shared, **of_line})
    return discounts


@st.composite
def _orders(draw: st.DrawFn, number: int) -> Tables:
    placed_at = draw(instants)
    cancelled_at = draw(st.none() | instants.filter(lambda at: at >= placed_at))
    shared: dict[str, Any] = {
        "order_id": f"o{number}",
        "currency": draw(st.sampled_from(["BRL", "BRL", "BRL", "USD", "JPY"])),
        "channel": draw(st.sampled_from(["web", "pos"])),
        "placed_at": placed_at,
        "cancelled_at": cancelled_at,
    }
    open_status = draw(st.sampled_from(["pending", "processing", "completed"]))
    status = "cancelled" if cancelled_at else open_status
    lines = draw(_lines(shared, status))
    costed = [line for line in lines if line["unit_cost"] is not None]
    order = {
        **shared,
        "customer_id": draw(st.sampled_from(["c0", "c1", "c2", "c3", None])),
        "number": number,
        "status": status,
        "payment_status": "paid",
        "fulfillment_status": draw(st.sampled_from(["unfulfilled", "fulfilled"])),
        "country": draw(st.sampled_from(["BR", "IT", None])),
        "region": draw(st.sampled_from(["SP", "", None])),
        "units": sum(line["quantity"] for line in lines),
        "gross_sales": sum(line["gross_sales"] for line in lines),
        "discounts": sum(line["discounts"] for line in lines),
        "shipping": draw(cents),
        "taxes": draw(cents),
        "cost_of_goods": sum(line["unit_cost"] * line["quantity"] for line in costed),
        "costed_sales": sum(line["gross_sales"] - line["discounts"] for line in costed),
    }
    return {
        "orders": [order],
        "order_lines": lines,
        "refunds": draw(_refunds(shared, lines)),
        "payments": draw(_payments(shared, status)),
        "discounts": draw(_discounts(shared, lines, status)),
    }


@st.composite
def shops(draw: st.DrawFn) -> Tables:
    """The facts of a shop of up to eight orders."""
    names = ("orders", "order_lines", "refunds", "payments", "discounts")
    tables: Tables = {name: [] for name in names}
    for number in range(draw(st.integers(1, 8))):
        for name, rows in draw(_orders(number)).items():
            tables[name] += rows
    return {**tables, "dim_customers": dim_customers(tables["orders"], tables["refunds"])}


def _goods(row: dict[str, Any]) -> dict[str, Any]:
    names = ("units", "gross_sales", "discounts", "cost_of_goods", "costed_sales")
    return {name: row[name] for name in names}


def _sold(tables: Tables, by_line: bool) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What each order, or each line, adds when it counts, with what it is of."""
    orders = {order["order_id"]: order for order in tables["orders"]}
    if not by_line:
        for order in tables["orders"]:
            parts = {"shipping": order["shipping"], "taxes": order["taxes"], "orders": 1}
            yield order, _goods(order) | parts
        return
    for line in tables["order_lines"]:
        cost = line["unit_cost"]
        net_sales = line["gross_sales"] - line["discounts"]
        goods = {
            "units": line["quantity"],
            # of converted lines it is told, for it is rounded
            "cost_of_goods": line.get("cost_of_goods", (cost or 0) * line["quantity"]),
            "costed_sales": 0 if cost is None else net_sales,
        }
        yield orders[line["order_id"]] | line, _goods(line | goods)


def movements(tables: Tables, basis: str, *, by_line: bool) -> Iterator[dict[str, Any]]:
    """When what counts: the order, the cancelling, the refund, and its reversal."""
    for of, adds in _sold(tables, by_line):
        cancelled_at = of["cancelled_at"]
        if basis == "event_date" or cancelled_at is None:
            status = {} if by_line else {f"{of['status']}_orders": 1}
            status.pop("cancelled_orders", None)
            yield {**of, **adds, **status, "at": of["placed_at"]}
        if cancelled_at is not None and not by_line:
            at = cancelled_at if basis == "event_date" else of["placed_at"]
            yield {**_nothing(of, adds), "cancelled_orders": 1, "at": at}
        if cancelled_at is not None and basis == "event_date":
            yield {**of, **{name: -value for name, value in adds.items()}, "at": cancelled_at}
    yield from _refunded(tables, basis)


def _nothing(of: dict[str, Any], adds: dict[str, Any]) -> dict[str, Any]:
    return {**of, **dict.fromkeys(adds, 0)}


def _refunded(tables: Tables, basis: str) -> Iterator[dict[str, Any]]:
    orders = {order["order_id"]: order for order in tables["orders"]}
    variants = {line["line_id"]: line["variant_id"] for line in tables["order_lines"]}
    for refund in tables["refunds"]:
        order, at = orders[refund["order_id"]], refund["refunded_at"]
        shared = (
            *("order_id", "currency", "channel", "country", "region"),
            *("customer_id", "fulfillment_status"),
        )
        of = {name: order[name] for name in shared}
        of |= {"product_id": refund.get("product_id"), "variant_id": None}
        if refund.get("line_id"):
            of["variant_id"] = variants[refund["line_id"]]
        adds = {
            "returns": refund["goods_amount"],
            "shipping": -refund.get("shipping_amount", 0),
            "taxes": -refund.get("tax_amount", 0),
            "costed_sales": -refund.get("costed_amount", 0),
        }
        cancelled_at = order["cancelled_at"]
        if basis == "order_date":
            if cancelled_at is None:
                yield {**of, **adds, "at": order["placed_at"]}
        elif cancelled_at is None or at < cancelled_at:
            yield {**of, **adds, "at": at}
            if cancelled_at is not None:
                yield {**of, **{k: -v for k, v in adds.items()}, "at": cancelled_at}


def metrics_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The additive metrics of movements, by their formulas."""

    def total(name: str) -> Any:
        return sum(row.get(name) or 0 for row in rows)

    net_sales = total("gross_sales") - total("discounts") - total("returns")
    names = (
        "gross_sales", "discounts", "returns", "shipping", "taxes", "orders", "pending_orders",
        "processing_orders", "completed_orders", "cancelled_orders", "units", "cost_of_goods",
    )  # fmt: skip
    return {
        **{name: total(name) for name in names},
        "net_sales": net_sales,
        "total_sales": net_sales + total("shipping") + total("taxes"),
        "placed_orders": total("orders") + total("cancelled_orders"),
        "gross_profit": total("costed_sales") - total("cost_of_goods"),
    }


def orders_told(tables: Tables, asked: Asked) -> dict[str, dict[str, Any]]:
    """What is known of each order as a whole: payments, discounts, and its customer by then."""
    segments = scored(tables["orders"], tables["refunds"], asked)
    first_at = {row["customer_id"]: row["first_order_at"] for row in tables["dim_customers"]}
    told = {}
    for order in tables["orders"]:
        order_id, who = order["order_id"], order["customer_id"]
        paid = {
            payment["method"]
            for payment in tables["payments"]
            if payment["order_id"] == order_id and payment["status"] == "captured"
        }
        given = {
            row.get("order_discount_id"): row.get("code") or row.get("title") or ":unnamed"
            for row in tables["discounts"]
            if row["order_id"] == order_id
        }
        is_first = who and (first_at[who] is None or first_at[who] >= order["placed_at"])
        told[order_id] = {
            "payment_method": _one_or(paid, ":mixed"),
            "discount": _one_or(list(given.values()), ":several"),
            "customer_type": who and ("new" if is_first else "returning"),
            "customer_segment": segments[who].segment if who in segments else None,
        }
    return told


def _one_or(found: Any, several: str) -> str | None:
    return several if len(found) > 1 else next(iter(found), None)


def dimension_of(row: dict[str, Any], name: str, zone: ZoneInfo) -> Any:
    """What a movement has of a dimension, of a day as the wall shows it."""
    local = row["at"].astimezone(zone)
    if name == "category":
        return CATEGORIES.get(row["product_id"])
    if name == "time":
        return local.date().isoformat()
    if name == "hour_of_day":
        return local.hour
    if name == "weekday":
        return local.isoweekday()
    column = f"{name}_id" if name in ("product", "variant", "customer") else name
    return row[column] or None
