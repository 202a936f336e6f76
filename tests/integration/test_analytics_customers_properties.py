"""Whatever the shop, its customers' figures are what plain Python finds row by row."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.dashboard.breakdowns import customers_until_now, read_customers
from analytics.dashboard.customers import build_customers, segments_until_now
from analytics.dashboard.question import AnalyticsRequest, Question
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot
from analytics.periods import day_start, find_zone
from analytics.reports.customers import CustomerSelection, build_customer_page
from tests.factories import customer_oracle as oracle
from tests.factories.lake import write_lake

TENANT = "0198c0de-0000-7000-8000-00000000000c"
START, END = datetime(2017, 9, 20, tzinfo=UTC), datetime(2017, 12, 10, tzinfo=UTC)
PERIODS = [
    (date(2017, 10, 14), date(2017, 10, 17)),
    (date(2017, 9, 25), date(2017, 12, 1)),
]
ZONES = ["America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
Tables = dict[str, list[dict[str, Any]]]

# Each example writes a lake, so they are few, and the same in every run.
BOUNDED = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def some_instant(source: Random) -> datetime:
    """Anywhere in the autumn, or in the hours around São Paulo's missing midnight."""
    if source.random() < 0.2:
        return datetime(2017, 10, 15, 3, 0, tzinfo=UTC) + timedelta(minutes=source.randint(-90, 90))
    return START + (END - START) * source.random()


def some_cents(source: Random) -> Decimal:
    """Few amounts among them, so that customers tie."""
    return source.choice(
        [Decimal("9.99"), Decimal("20.00"), Decimal(source.randint(0, 20_000)) / 100]
    )


def shop_of(seed: int) -> Tables:
    """Up to 40 orders of six customers and guests: many cancelled, many refunded, before and after.

    From a seed, so that each shop is as full as the next.
    """
    source = Random(seed)
    orders: list[dict[str, Any]] = []
    refunds: list[dict[str, Any]] = []
    for number in range(source.randint(1, 40)):
        placed_at = some_instant(source)
        cancelled_at = placed_at + timedelta(days=40 * source.random())
        shared: dict[str, Any] = {
            "order_id": f"o{number}",
            "currency": source.choice(["BRL", "BRL", "BRL", "USD", "JPY"]),
            "channel": source.choice(["web", "pos"]),
            "placed_at": placed_at,
            "cancelled_at": cancelled_at if source.random() < 0.3 else None,
        }
        orders.append(
            {
                **shared,
                "number": number,
                "customer_id": source.choice(["ann", "bob", "cat", "dan", "eve", "fay", None]),
                "status": "cancelled" if shared["cancelled_at"] else "completed",
                "payment_status": "paid",
                "fulfillment_status": "fulfilled",
                "units": 1,
                "gross_sales": some_cents(source),
                "discounts": some_cents(source),
            }
        )
        refunds += [
            {
                **shared,
                "refund_id": f"o{number}-{position}",
                "refunded_at": placed_at + timedelta(days=40 * source.random()),
                "goods_amount": some_cents(source),
            }
            for position in range(source.choice([0, 0, 1, 2]))
        ]
    return {"orders": orders, "refunds": refunds}


shops = st.integers(0, 2**32 - 1).map(shop_of)


@contextmanager
def serve(tables: Tables) -> Iterator[tuple[Engine, Lake, Snapshot]]:
    facts = {name: tables[name] for name in ("orders", "refunds")}
    complete = {**tables, "dim_customers": oracle.dim_customers(**facts)}
    with tempfile.TemporaryDirectory() as folder:
        snapshot = write_lake(Path(folder), {TENANT: complete})
        engine = Engine(folder)
        yield engine, Lake(folder), snapshot
        engine.close()


def rollup(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What daily_sales has of orders, as far as it says which currencies there are."""
    return [
        {
            "basis": "order_date",
            "day": order["placed_at"].date(),
            "currency": order["currency"],
            "channel": order["channel"],
            "orders": 0 if order["cancelled_at"] else 1,
        }
        for order in orders
    ]


def check_cohorts(answer: dict[str, Any], tables: Tables, asked: oracle.Asked) -> None:
    """Each cell is the oracle's, and nothing where it has none."""
    found = answer["cohorts"]
    expected = oracle.cohorts(**tables, asked=asked, interval=found["interval"])
    for cohort in found["data"]:
        first = date.fromisoformat(cohort["cohort"])
        for cell in cohort["cells"]:
            at = (first, date.fromisoformat(cell["date"]))
            customers, retained, sold = expected.pop(at, (cohort["customers"], 0, Decimal(0)))
            assert cohort["customers"] == customers
            assert (cell["retained_customers"], cell["net_sales"]) == (retained, sold)
        assert cohort["net_sales"] == sum(cell["net_sales"] for cell in cohort["cells"])
    assert expected == {}


def check_segments(answer: dict[str, Any], everybody: dict[str, oracle.Scored]) -> None:
    for segment in answer["rfm"]["segments"]:
        own = [one for one in everybody.values() if one.segment == segment["segment"]]
        assert segment["customers"] == len(own)
        assert segment["orders"] == sum(one.frequency for one in own)
        assert segment["net_sales"] == sum(one.monetary for one in own)
    assert answer["rfm"]["customers"] == len(everybody)
    assert answer["lifetime_value"]["net_sales"] == sum(o.monetary for o in everybody.values())


def check_repeats(answer: dict[str, Any], gaps: list[int]) -> None:
    found = answer["repeat_interval"]
    assert found["repeat_orders"] == len(gaps)
    if gaps:
        low, high = gaps[(len(gaps) - 1) // 2], gaps[len(gaps) // 2]
        assert found["median_days"] == oracle.days(Decimal(low + high) / 2)
        assert found["mean_days"] == oracle.days(Decimal(sum(gaps)) / len(gaps))


def check_report(
    page: dict[str, Any], everybody: dict[str, oracle.Scored], start_at: datetime
) -> None:
    """Each customer has a row, in order, with their scores and what is of the period."""
    assert page["pagination"]["total"] == len(everybody) == len(page["data"])
    keys = [(-row["monetary"], row["customer_id"]) for row in page["data"]]
    assert keys == sorted(keys)
    for row in page["data"]:
        one = everybody[row["customer_id"]]
        own = [m for m in one.movements if m.at >= start_at]
        placed = [m.at for m in one.movements if m.orders]
        assert (row["recency_score"], row["frequency_score"], row["monetary_score"]) == one.scores
        assert (row["recency_days"], row["frequency"]) == (one.recency_days, one.frequency)
        assert (row["segment"], row["monetary"]) == (one.segment, one.monetary)
        assert row["orders"] == sum(m.orders for m in own)
        assert row["net_sales"] == sum(m.net_sales for m in own)
        assert datetime.fromisoformat(row["first_order_at"]) == min(placed)
        assert datetime.fromisoformat(row["last_order_at"]) == max(placed)


@BOUNDED
@given(shops, st.sampled_from(ZONES))
def test_customers_are_what_their_rows_say(tables: Tables, timezone: str) -> None:
    zone = find_zone(timezone)
    with serve(tables) as (engine, lake, snapshot):
        for (start, end), basis, channel in product(
            PERIODS, ("order_date", "event_date"), (None, "pos")
        ):
            for currency, interval in (("BRL", "week"), ("BRL", "month"), ("USD", "day")):
                request = AnalyticsRequest(
                    tenant_id=TENANT, snapshot=snapshot, timezone=timezone, currency=currency,
                    currency_digits=2, now=END, start=start, end=end, interval=interval,
                    basis=basis, channel=channel,
                )  # fmt: skip
                answer = build_customers(engine, lake, request)
                asked = oracle.Asked(
                    day_start(start, zone), day_start(end, zone), basis, timezone, currency, channel
                )
                found = oracle.counts(tables["orders"], asked)
                assert {name: answer["metrics"][name] for name in found} == found
                everybody = oracle.scored(**tables, asked=asked)
                check_cohorts(answer, tables, asked)
                check_segments(answer, everybody)
                check_repeats(answer, oracle.repeat_seconds(tables["orders"], asked))
                selection = CustomerSelection(sort="monetary", limit=1000)
                page = build_customer_page(engine, lake, request, selection)
                check_report(page, everybody, asked.start_at)


@BOUNDED
@given(shops, st.sampled_from(ZONES))
def test_a_point_of_the_series_is_the_figure_of_its_days(tables: Tables, timezone: str) -> None:
    zone = find_zone(timezone)
    with serve(tables) as (engine, lake, snapshot):
        start, end = PERIODS[0]
        answer = build_customers(
            engine,
            lake,
            AnalyticsRequest(
                tenant_id=TENANT, snapshot=snapshot, timezone=timezone, currency="BRL",
                currency_digits=2, now=END, start=start, end=end, interval="day",
            ),
        )  # fmt: skip
        for point in answer["series"]:
            day = date.fromisoformat(point["date"])
            edges = day_start(day, zone), day_start(day + timedelta(days=1), zone)
            found = oracle.counts(tables["orders"], oracle.Asked(*edges, "order_date", timezone))
            assert {name: point[name] for name in found} == found


@BOUNDED
@given(shops, st.sampled_from(["BRL", "USD", None]))
def test_the_dashboards_customers_are_those_of_the_orders(
    tables: Tables, only_currency: str | None
) -> None:
    """Whether told by the customers' own rows or, where these do not tell, by the orders."""
    for order in tables["orders"]:
        order["currency"] = only_currency or order["currency"]
    currency_of = {order["order_id"]: order["currency"] for order in tables["orders"]}
    for refund in tables["refunds"]:
        refund["currency"] = currency_of[refund["order_id"]]
    ends = (date(2017, 10, 20), date(2018, 2, 1))
    bases = ("order_date", "event_date")
    utc = find_zone("UTC")
    by_rows = valued_by_rows = 0
    with serve({**tables, "daily_sales": rollup(tables["orders"])}) as (engine, lake, snapshot):
        for start, end, channel, basis in product(
            (START.date(), date(2017, 10, 15)), ends, (None, "pos"), bases
        ):
            request = AnalyticsRequest(
                tenant_id=TENANT, snapshot=replace(snapshot, as_of=START), timezone="UTC",
                currency="BRL", currency_digits=2, now=datetime(2018, 3, 1, tzinfo=UTC),
                start=start, end=end, channel=channel, basis=basis,
            )  # fmt: skip
            asked = oracle.Asked(
                day_start(start, utc), day_start(end, utc), basis, "UTC", "BRL", channel
            )
            question = Question(engine, lake, request)
            answer = read_customers(question)
            found = oracle.counts(tables["orders"], asked)
            assert answer["total"] == found["customers"]
            assert answer["new"] == found["new_customers"]
            assert answer["returning"] == found["returning_customers"]
            by_rows += customers_until_now(question) is not None
            everything = build_customers(engine, lake, request)
            assert {name: everything["metrics"][name] for name in found} == found
            check_segments(
                everything, oracle.scored(tables["orders"], tables["refunds"], asked=asked)
            )
            valued_by_rows += segments_until_now(question) != []
    standing = oracle.standing(tables["orders"])
    is_alone = {order["currency"] for order in standing} == {"BRL"}
    has_customers = any(order["customer_id"] for order in standing)
    assert by_rows >= 4 if is_alone else by_rows == 0
    assert valued_by_rows >= 4 if is_alone and has_customers else valued_by_rows == 0
