"""The answers over the golden shop: every figure is worked out by hand from its eight orders."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from analytics.dashboard.answers import build_dashboard, build_orders, build_revenue
from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine, QueryTimeout
from analytics.lake import Lake, Snapshot
from tests.factories import golden_shop
from tests.factories.lake import AS_OF, write_lake

NOW = datetime(2026, 4, 10, 15, 0, tzinfo=UTC)
MARCH = {"start": date(2026, 3, 1), "end": date(2026, 4, 1)}
APRIL = {"start": date(2026, 4, 1), "end": date(2026, 5, 1)}
OTHER_TENANT = "0198c0de-0000-7000-8000-000000000002"

D = Decimal
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module", params=["month", "year"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Engine, Lake, Snapshot]]:
    """The golden shop, and beside it a tenant with other figures in the same tables."""
    folder = tmp_path_factory.mktemp("lake")
    snapshot = write_lake(
        folder,
        {golden_shop.TENANT: golden_shop.TABLES, OTHER_TENANT: golden_shop.TABLES},
        request.param,
    )
    engine = Engine(str(folder))
    yield engine, Lake(str(folder)), snapshot
    engine.close()


def make_request(snapshot: Snapshot, **changes: Any) -> AnalyticsRequest:
    values: dict[str, Any] = {
        "tenant_id": golden_shop.TENANT,
        "snapshot": snapshot,
        "timezone": golden_shop.TIMEZONE,
        "currency": "USD",
        "currency_digits": 2,
        "now": NOW,
        **changes,
    }
    return AnalyticsRequest(**values)


@pytest.fixture
def dashboard(place: tuple[Engine, Lake, Snapshot]) -> Ask:
    engine, lake, snapshot = place
    return lambda **changes: build_dashboard(engine, lake, make_request(snapshot, **changes))


@pytest.fixture
def revenue(place: tuple[Engine, Lake, Snapshot]) -> Ask:
    engine, lake, snapshot = place
    return lambda **changes: build_revenue(engine, lake, make_request(snapshot, **changes))


@pytest.fixture
def orders(place: tuple[Engine, Lake, Snapshot]) -> Ask:
    engine, lake, snapshot = place
    return lambda **changes: build_orders(engine, lake, make_request(snapshot, **changes))


def test_envelope_says_what_the_figures_are_of(dashboard: Ask) -> None:
    answer = dashboard(**MARCH)
    assert answer["as_of"] == AS_OF.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert answer["timezone"] == "America/New_York"
    assert answer["currency"] == "USD"
    assert answer["basis"] == "order_date"
    assert answer["period"] == {"from": "2026-03-01", "to": "2026-04-01"}
    assert answer["compared_with"] == {
        "from": "2026-01-29",
        "to": "2026-03-01",
        "until": "2026-03-01T05:00:00.000000Z",
    }
    assert answer["interval"] == "day"


NO_COST_KNOWN = {
    "cost_of_goods": D("0.00"),
    "gross_profit": D("0.00"),
    "profit_margin": None,
    "cost_coverage": D("0.0000"),
}


def test_march_by_order_date(revenue: Ask) -> None:
    """o1, o2, o3; the refund of o1 in April counts on o1's day, o4 not at all."""
    assert revenue(**MARCH)["metrics"] == {
        "gross_sales": D("41.50"),
        "discounts": D("1.00"),
        "returns": D("9.50"),
        "net_sales": D("31.00"),
        "shipping": D("3.00"),
        "taxes": D("1.20"),
        "total_sales": D("35.20"),
        "units": 7,
        "orders": 3,
        "average_order_value": D("13.50"),
        **NO_COST_KNOWN,
    }


def test_march_by_event_date(revenue: Ask) -> None:
    """o4 was not yet cancelled in March, and nothing was yet refunded: 51.50 over 4 orders."""
    metrics = revenue(**MARCH, basis="event_date")["metrics"]
    assert metrics == {
        "gross_sales": D("52.50"),
        "discounts": D("1.00"),
        "returns": D("0.00"),
        "net_sales": D("51.50"),
        "shipping": D("7.00"),
        "taxes": D("2.46"),
        "total_sales": D("60.96"),
        "units": 9,
        "orders": 4,
        "average_order_value": D("12.88"),
        **NO_COST_KNOWN,
    }


def test_april_by_event_date_takes_back(revenue: Ask) -> None:
    """Both refunds on 1 April; on 2 April o4 reverses, and its refund with it."""
    answer = revenue(**APRIL, basis="event_date", compare="none")
    assert answer["metrics"]["gross_sales"] == D("-11.00")
    assert answer["metrics"]["returns"] == D("9.50")
    assert answer["metrics"]["net_sales"] == D("-20.50")
    assert answer["metrics"]["shipping"] == D("-4.00")
    assert answer["metrics"]["taxes"] == D("-1.26")
    assert answer["metrics"]["orders"] == -1
    by_day = {point["date"]: point for point in answer["series"]}
    assert by_day["2026-04-01"]["returns"] == D("15.00")
    assert by_day["2026-04-02"]["returns"] == D("-5.50")
    assert by_day["2026-04-03"]["net_sales"] == D("0.00")
    assert answer["previous"] is None
    assert answer["change"] is None
    assert {
        c["name"]: (c["units"], c["gross_sales"], c["returns"]) for c in answer["by_category"]
    } == {
        "Teas": (0, D("0.00"), D("9.50")),
        "Cups": (-2, D("-11.00"), D("0.00")),
    }
    assert answer["by_payment_method"] == [
        {"method": "credit_card", "amount": D("-14.50"), "payments": -1}
    ]


def test_orders_by_status(dashboard: Ask, orders: Ask) -> None:
    answer = dashboard(**MARCH)["orders"]
    assert (answer["total"], answer["cancelled"]) == (4, 1)
    assert (answer["pending"], answer["processing"], answer["completed"]) == (1, 1, 1)
    assert answer["average_order_value"] == D("13.50")
    assert answer["fulfillment_status"] == {
        "unfulfilled": 1,
        "partial": 1,
        "fulfilled": 1,
        "returned": 0,
    }
    assert orders(**MARCH)["metrics"] == {
        "placed_orders": 4,
        "orders": 3,
        "pending_orders": 1,
        "processing_orders": 1,
        "completed_orders": 1,
        "cancelled_orders": 1,
        "units": 7,
        "average_order_value": D("13.50"),
    }


def test_products_and_categories(dashboard: Ask) -> None:
    answer = dashboard(**MARCH)
    assert answer["revenue"]["by_category"] == [
        {
            "category_id": "teas",
            "name": "Teas",
            "product_count": 1,
            "units": 3,
            "gross_sales": D("30.00"),
            "discounts": D("1.00"),
            "returns": D("9.50"),
            "net_sales": D("19.50"),
        },
        {
            "category_id": None,
            "name": None,
            "product_count": 1,
            "units": 3,
            "gross_sales": D("6.00"),
            "discounts": D("0.00"),
            "returns": D("0.00"),
            "net_sales": D("6.00"),
        },
        {
            "category_id": "cups",
            "name": "Cups",
            "product_count": 1,
            "units": 1,
            "gross_sales": D("5.50"),
            "discounts": D("0.00"),
            "returns": D("0.00"),
            "net_sales": D("5.50"),
        },
    ]
    assert [
        (p["product_id"], p["sku"], p["units"], p["gross_sales"])
        for p in answer["revenue"]["top_products"]
    ] == [
        ("tea", "TEA", 3, D("30.00")),
        ("spoon", "SPOON", 3, D("6.00")),
        ("cup", "CUP", 1, D("5.50")),
    ]
    assert answer["products"] == {"total": 5, "active": 3, "draft": 1, "archived": 1, "sold": 3}


def test_payments_are_captured_ones_of_orders_not_cancelled(dashboard: Ask) -> None:
    assert dashboard(**MARCH)["revenue"]["by_payment_method"] == [
        {"method": "credit_card", "amount": D("30.46"), "payments": 1},
        {"method": "cash", "amount": D("6.00"), "payments": 1},
    ]
    by_event = dashboard(**MARCH, basis="event_date")["revenue"]["by_payment_method"]
    assert by_event[0] == {"method": "credit_card", "amount": D("44.96"), "payments": 2}


def test_first_order_ever_decides_who_is_new(dashboard: Ask) -> None:
    """c1 ordered in February; c2 came in March; c3 only cancelled."""
    assert dashboard(**MARCH)["customers"] == {
        "total": 2,
        "new": 1,
        "returning": 1,
        "returning_customer_rate": D("0.5000"),
    }
    everything = dashboard(period="all")["customers"]
    assert (everything["total"], everything["new"], everything["returning"]) == (2, 2, 1)


def test_comparison_with_the_period_before(dashboard: Ask, revenue: Ask) -> None:
    """[29 Jan, 1 Mar) has o0 alone: 5.50."""
    answer = dashboard(**MARCH)
    assert answer["revenue"]["change"] == D("5.4000")
    assert answer["orders"]["change"] == D("3.0000")
    assert revenue(**MARCH)["previous"]["gross_sales"] == D("5.50")
    assert revenue(**MARCH, compare="previous_year")["change"]["gross_sales"] is None


@pytest.mark.parametrize("timezone", ["America/New_York", "America/Detroit"])
@pytest.mark.parametrize("period", ["today", "7d"])
def test_a_day_that_runs_is_compared_with_as_much_of_a_day(
    revenue: Ask, period: str, timezone: str
) -> None:
    """o1 was placed at 23:30 of 7 March: at 23:00 of the 8th, or the 14th, it does not count."""
    now = datetime(2026, 3, 9 if period == "today" else 15, 3, 0, tzinfo=UTC)
    asked = {"period": period, "timezone": timezone}
    early = revenue(**asked, now=now)
    assert early["compared_with"]["until"] == "2026-03-08T04:00:00.000000Z"
    assert early["previous"]["gross_sales"] == 0
    late = revenue(**asked, now=now + timedelta(minutes=31))
    assert late["previous"]["gross_sales"] == D("25.50")
    assert late["previous"]["orders"] == 1
    whole_day = {"start": date(2026, 3, 8), "end": date(2026, 3, 9), "timezone": timezone}
    assert revenue(**whole_day)["previous"]["gross_sales"] == D("25.50")


def test_channel_and_currency_are_filters(revenue: Ask, dashboard: Ask) -> None:
    assert revenue(**MARCH, channel="pos")["metrics"]["gross_sales"] == D("6.00")
    assert dashboard(**MARCH, channel="pos")["customers"]["total"] == 1
    assert dashboard(**MARCH, channel="kiosk")["revenue"]["by_category"] == []
    euro = revenue(**MARCH, currency="EUR")
    assert euro["metrics"]["total_sales"] == D("8.00")
    assert euro["by_payment_method"] == []


def test_day_of_23_hours_by_hour(revenue: Ask) -> None:
    answer = revenue(start=date(2026, 3, 8), end=date(2026, 3, 9))
    assert answer["interval"] == "hour"
    assert len(answer["series"]) == 23
    sold = {point["date"]: point["gross_sales"] for point in answer["series"]}
    assert sold["2026-03-08T06:00:00.000000Z"] == D("10.00")
    assert sold["2026-03-08T07:00:00.000000Z"] == D("6.00")
    assert sum(sold.values()) == answer["metrics"]["gross_sales"] == D("16.00")


def test_hour_that_occurs_twice_is_two(revenue: Ask) -> None:
    answer = revenue(start=date(2026, 11, 1), end=date(2026, 11, 2))
    assert len(answer["series"]) == 25
    sold = {p["date"]: p["gross_sales"] for p in answer["series"] if p["gross_sales"]}
    assert sold == {
        "2026-11-01T05:00:00.000000Z": D("10.00"),
        "2026-11-01T06:00:00.000000Z": D("10.00"),
    }


@pytest.mark.parametrize(("interval", "points"), [("day", 31), ("week", 6), ("month", 1)])
def test_days_without_sales_are_zero(revenue: Ask, interval: str, points: int) -> None:
    series = revenue(**MARCH, interval=interval)["series"]
    assert len(series) == points
    assert sum(point["net_sales"] for point in series) == D("31.00")
    if interval == "week":
        assert [point["date"] for point in series][:2] == ["2026-02-23", "2026-03-02"]


@pytest.mark.parametrize("basis", ["order_date", "event_date"])
@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
def test_facts_give_what_the_rollup_gives(revenue: Ask, basis: str, interval: str) -> None:
    """In another timezone than the rollup's all comes from facts; Detroit has New York's days."""
    period = {"start": date(2026, 3, 1), "end": date(2026, 4, 3)}
    rolled = revenue(**period, basis=basis, interval=interval)
    facts = revenue(**period, basis=basis, interval=interval, timezone="America/Detroit")
    for part in ("metrics", "previous", "change", "series"):
        assert facts[part] == rolled[part]


def test_facts_answer_for_days_on_which_the_rollup_has_nothing(revenue: Ask) -> None:
    """An order of noon in New York was placed the day after in Tokyo."""
    days = {"start": date(2026, 2, 21), "end": date(2026, 2, 22), "compare": "none"}
    answer = revenue(**days, interval="day", timezone="Asia/Tokyo")
    assert answer["metrics"]["gross_sales"] == D("5.50")
    assert sum(part["gross_sales"] for part in answer["by_category"]) == D("5.50")


def test_digits_of_the_currency(revenue: Ask) -> None:
    metrics = revenue(**MARCH, currency_digits=0)["metrics"]
    assert str(metrics["gross_sales"]) == "42"
    assert str(revenue(**MARCH, currency_digits=3)["metrics"]["net_sales"]) == "31.000"


def test_tenant_without_files(place: tuple[Engine, Lake, Snapshot]) -> None:
    engine, lake, snapshot = place
    request = make_request(snapshot, tenant_id="0198c0de-0000-7000-8000-00000000ffff", period="all")
    answer = build_dashboard(engine, lake, request)
    assert answer["revenue"]["total"] == D("0.00")
    assert answer["revenue"]["trend"]
    assert answer["customers"]["returning_customer_rate"] is None
    assert answer["orders"]["average_order_value"] is None
    assert answer["traffic"]["sessions"] == 0
    assert answer["traffic"]["conversion_rate"] is None
    assert [step["sessions"] for step in answer["conversion_funnel"]["steps"]] == [0] * 5


def test_deadline_is_kept(place: tuple[Engine, Lake, Snapshot]) -> None:
    engine, lake, snapshot = place
    with pytest.raises(QueryTimeout):
        build_dashboard(engine, lake, make_request(snapshot, deadline_seconds=0.0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"basis": "someday"}, "`basis` must be"),
        ({"period": "8d"}, "`period` must be"),
        ({"interval": "minute", "period": "7d"}, "`interval` must be"),
        ({"compare": "tomorrow"}, "`compare` must be"),
        ({"period": "7d", **MARCH}, "not both"),
        ({"start": date(2026, 3, 1)}, "go together"),
        ({"start": date(2026, 3, 1), "end": date(2026, 3, 1)}, "before"),
        ({"start": date(1926, 3, 1), "end": date(2026, 3, 1)}, "between"),
        ({"interval": "hour", "period": "365d"}, "points"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
    ],
)
def test_bad_input_is_named(revenue: Ask, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        revenue(**changes)
