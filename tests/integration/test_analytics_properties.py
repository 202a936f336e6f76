"""What holds of every shop: parts add up, rollup equals facts, both bases sum to the same.

The rollup is made by the export's own transform; a second tenant has the same facts with a rollup
that says it is of another timezone, so that all its figures come from the facts.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from analytics.contracts import CONTRACTS
from analytics.dashboard.answers import build_revenue
from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot
from analytics.periods import day_start, find_zone
from pipelines.frames import polars_schema
from pipelines.transforms.daily_sales import additions, summed
from tests.factories import golden_shop
from tests.factories.lake import Rows, write_lake

BY_ROLLUP = "0198c0de-0000-7000-8000-00000000000a"
BY_FACTS = "0198c0de-0000-7000-8000-00000000000b"
ADDITIVE = (
    "gross_sales", "discounts", "returns", "net_sales", "shipping", "taxes", "total_sales", "units",
    "orders",
)  # fmt: skip
IN_CATEGORIES = ("units", "gross_sales", "discounts", "returns", "net_sales")
PERIODS = [
    (date(2017, 10, 14), date(2017, 10, 17)),
    (date(2017, 10, 1), date(2017, 12, 1)),
]
START, END = datetime(2017, 9, 20, tzinfo=UTC), datetime(2017, 12, 10, tzinfo=UTC)

# Each example writes a lake, so they are few, and the same in every run.
BOUNDED = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

cents = st.decimals(0, 200, places=2)
instants = st.datetimes(
    START.replace(tzinfo=None), END.replace(tzinfo=None), timezones=st.just(UTC)
) | st.integers(-90, 90).map(
    # the hours around São Paulo's missing midnight
    lambda minutes: datetime(2017, 10, 15, 3, 0, tzinfo=UTC) + timedelta(minutes=minutes)
)


@st.composite
def orders_with_everything(draw: st.DrawFn, number: int) -> dict[str, list[dict[str, Any]]]:
    """One order with its lines, refunds and payments, as rows of the contracts."""
    placed_at = draw(instants)
    cancelled_at = draw(st.none() | instants.filter(lambda at: at >= placed_at))
    shared: dict[str, Any] = {
        "order_id": f"o{number}",
        "currency": draw(st.sampled_from(["BRL", "BRL", "USD"])),
        "channel": draw(st.sampled_from(["web", "pos"])),
        "placed_at": placed_at,
        "cancelled_at": cancelled_at,
    }
    open_status = draw(st.sampled_from(["pending", "processing", "completed"]))
    status = "cancelled" if cancelled_at else open_status
    lines: list[dict[str, Any]] = [
        {
            **shared,
            "line_id": f"o{number}-{position}",
            "product_id": draw(st.sampled_from(["tea", "cup", "spoon", None])),
            "order_status": status,
            "quantity": draw(st.integers(1, 5)),
            "gross_sales": draw(cents),
            "discounts": draw(cents),
        }
        for position in range(draw(st.integers(1, 3)))
    ]
    refunds = [
        {
            **shared,
            "refund_id": f"o{number}-{position}",
            "line_id": lines[0]["line_id"],
            "product_id": lines[0]["product_id"],
            "refunded_at": draw(instants),
            "goods_amount": draw(cents),
            "tax_amount": draw(cents),
            "shipping_amount": draw(cents),
        }
        for position in range(draw(st.integers(0, 2)))
    ]
    order = {
        **shared,
        "number": number,
        "status": status,
        "payment_status": "paid",
        "fulfillment_status": "fulfilled",
        "units": sum(line["quantity"] for line in lines),
        "gross_sales": sum(line["gross_sales"] for line in lines),
        "discounts": sum(line["discounts"] for line in lines),
        "shipping": draw(cents),
        "taxes": draw(cents),
    }
    return {"orders": [order], "order_lines": lines, "refunds": refunds}


@st.composite
def shops(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    """The facts of a shop of up to ten orders."""
    tables: dict[str, list[dict[str, Any]]] = {"orders": [], "order_lines": [], "refunds": []}
    for number in range(draw(st.integers(1, 10))):
        for name, rows in draw(orders_with_everything(number)).items():
            tables[name] += rows
    return tables


def roll_up(tables: dict[str, list[dict[str, Any]]], timezone: str) -> list[dict[str, Any]]:
    """The rows of daily_sales that the export makes of these facts."""
    frames = []
    for name in ("orders", "refunds"):
        contract = CONTRACTS[name]
        empty: dict[str, Any] = {
            column.name: {"integer": 0, "money": Decimal(0)}.get(column.type)
            for column in contract.columns
        }
        rows = [empty | row for row in tables[name]]
        frame = pl.LazyFrame(rows, schema=polars_schema(contract))
        frames.append(frame.with_columns(tenant_id=pl.lit(BY_ROLLUP)))
    orders, refunds = frames
    return (
        summed(additions(orders, refunds, timezone), timezone)
        .drop("tenant_id")
        .collect()
        .to_dicts()
    )


@contextmanager
def serve(
    tables: dict[str, list[dict[str, Any]]], timezone: str
) -> Iterator[tuple[Engine, Lake, Snapshot]]:
    """The lake of the shop, once answered from the rollup and once from facts."""
    rollup = roll_up(tables, timezone)
    elsewhere = [row | {"timezone": "Antarctica/Troll"} for row in rollup]
    shared: dict[str, Rows] = {**tables, "dim_products": golden_shop.PRODUCTS}
    with tempfile.TemporaryDirectory() as folder:
        tenants = {
            BY_ROLLUP: {**shared, "daily_sales": rollup},
            BY_FACTS: {**shared, "daily_sales": elsewhere},
        }
        snapshot = write_lake(Path(folder), tenants)
        engine = Engine(folder)
        yield engine, Lake(folder), snapshot
        engine.close()


def ask(
    place: tuple[Engine, Lake, Snapshot], tenant_id: str, timezone: str, **changes: Any
) -> dict[str, Any]:
    engine, lake, snapshot = place
    request = AnalyticsRequest(
        tenant_id=tenant_id,
        snapshot=snapshot,
        timezone=timezone,
        currency="BRL",
        currency_digits=2,
        **{"now": END, **changes},
    )
    return build_revenue(engine, lake, request)


def placed_between(
    tables: dict[str, list[dict[str, Any]]], start: datetime, end: datetime
) -> dict[str, Any]:
    """What was ordered then and not cancelled, added up row by row."""
    orders = [
        order
        for order in tables["orders"]
        if order["currency"] == "BRL"
        and order.get("cancelled_at") is None
        and start <= order["placed_at"] < end
    ]
    names = ("gross_sales", "discounts", "units")
    return {name: sum(order.get(name, 0) for order in orders) for name in names} | {
        "orders": len(orders)
    }


def check_answer(answer: dict[str, Any]) -> None:
    """Parts add up to the whole, and the formulas hold at every grain."""
    for point in (answer["metrics"], *answer["series"], *answer["by_category"]):
        net_sales = point["gross_sales"] - point["discounts"] - point["returns"]
        assert point["net_sales"] == net_sales
        if "total_sales" in point:
            assert point["total_sales"] == net_sales + point["shipping"] + point["taxes"]
    for name in ADDITIVE:
        assert sum(point[name] for point in answer["series"]) == answer["metrics"][name]
    for name in IN_CATEGORIES:
        assert sum(part[name] for part in answer["by_category"]) == answer["metrics"][name]


@BOUNDED
@given(shops(), st.sampled_from(["America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"]))
@example(golden_shop.TABLES, "America/New_York")
def test_parts_add_up_whatever_the_shop(
    tables: dict[str, list[dict[str, Any]]], timezone: str
) -> None:
    with serve(tables, timezone) as place:
        for basis in ("order_date", "event_date"):
            for start, end in PERIODS:
                common = {"basis": basis, "start": start, "end": end}
                answers = {
                    interval: ask(place, BY_ROLLUP, timezone, interval=interval, **common)
                    for interval in ("hour", "day", "week", "month")
                }
                for answer in answers.values():
                    check_answer(answer)
                    assert answer["metrics"] == answers["day"]["metrics"]
                from_facts = ask(place, BY_FACTS, timezone, interval="day", **common)
                for part in ("metrics", "previous", "change", "series"):
                    assert from_facts[part] == answers["day"][part]


@BOUNDED
@given(shops(), st.sampled_from(["America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Tokyo"]))
def test_a_running_period_is_compared_with_as_much_of_the_one_before(
    tables: dict[str, list[dict[str, Any]]], timezone: str
) -> None:
    """Around the time of day of an order, on the day that is compared with the order's."""
    zone = find_zone(timezone)
    moments = [
        (period, order["placed_at"] + timedelta(days=days, minutes=minutes))
        for order in tables["orders"][:4]
        for period, days in (("today", 1), ("7d", 7))
        for minutes in (-30, 30)
    ]
    with serve(tables, timezone) as place:
        for period, now in moments:
            for tenant_id in (BY_ROLLUP, BY_FACTS):
                answer = ask(place, tenant_id, timezone, now=now, period=period)
                compared = answer["compared_with"]
                start = day_start(date.fromisoformat(compared["from"]), zone)
                expected = placed_between(tables, start, datetime.fromisoformat(compared["until"]))
                assert {name: answer["previous"][name] for name in expected} == expected


@BOUNDED
@given(shops())
def test_both_bases_have_the_same_sum_over_all_days(
    tables: dict[str, list[dict[str, Any]]],
) -> None:
    with serve(tables, "America/Sao_Paulo") as place:
        sums = [
            ask(place, tenant_id, "America/Sao_Paulo", period="all", basis=basis)
            for basis in ("order_date", "event_date")
            for tenant_id in (BY_ROLLUP, BY_FACTS)
        ]
        for answer in sums:
            assert answer["metrics"] == sums[0]["metrics"]
            assert {c["category_id"]: c for c in answer["by_category"] if c["net_sales"]} == {
                c["category_id"]: c for c in sums[0]["by_category"] if c["net_sales"]
            }
