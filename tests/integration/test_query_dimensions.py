"""Figures by what is told of an order as a whole, worked out by hand, and the rows behind them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot, TableMissing
from analytics.periods import BadParameter
from analytics.query.asked import Asked, Filter
from analytics.query.figures import build_figures
from analytics.query.rows import build_rows
from tests.factories.golden_shop import TABLES, TENANT, TIMEZONE
from tests.factories.lake import write_lake

D = Decimal
NOW = datetime(2027, 1, 1, tzinfo=UTC)


def discount(order_id: str, number: int, **values: Any) -> dict[str, Any]:
    [order] = [row for row in TABLES["orders"] if row["order_id"] == order_id]
    shared = {name: order[name] for name in ("order_id", "currency", "channel", "placed_at")}
    return {
        **shared,
        "order_discount_id": f"{order_id}-d{number}",
        "order_status": order["status"],
        "title": "Spring",
        **values,
    }


# o1 has a code on its teas; o3 two that take off its shipping; o2 one that applied by itself,
# titled as what is said of several
DISCOUNTS = [
    discount("o1", 1, code="TEN", line_id="o1-tea", amount=D("1.00"), kind="percentage"),
    discount("o3", 1, code="TEN", kind="free_shipping"),
    discount("o3", 2, code="FREE", kind="free_shipping"),
    discount("o2", 1, kind="free_shipping", title=":several"),
]


def event(number: int, visit: str, at: datetime, kind: str, **values: Any) -> dict[str, Any]:
    visitor, session = visit.split("/")
    return {
        "event_id": f"e{number}",
        "hour_key": at.strftime("%Y-%m-%dT%H"),
        "occurred_at": at,
        "received_at": at,
        "kind": kind,
        "visitor_id": visitor,
        "session_id": session,
        "is_bot": False,
        **values,
    }


# v1 comes from a search on a Saturday night, buys after midnight and comes back on Tuesday; v2 only
# looks; a crawler counts nowhere
SUNDAY, TUESDAY = (datetime(2026, 3, day, tzinfo=UTC) for day in (15, 17))
EVENTS = [
    event(1, "v1/s1", SUNDAY.replace(hour=3), "page_view", referrer_host="find", device="mobile"),
    event(2, "v1/s1", SUNDAY.replace(hour=5), "purchase", referrer_host="pay", device="mobile"),
    event(3, "v1/s2", TUESDAY.replace(hour=15), "page_view", device="desktop"),
    event(4, "v1/s2", TUESDAY.replace(hour=15), "add_to_cart", device="desktop"),
    event(5, "v2/s1", TUESDAY.replace(hour=15), "product_view", device="desktop"),
    event(6, "v3/s1", TUESDAY.replace(hour=15), "page_view", device="other", is_bot=True),
]


class Shop:
    """The golden shop's lake."""

    def __init__(self, folder: Path) -> None:
        tables = {**TABLES, "discounts": DISCOUNTS, "traffic_events": EVENTS}
        self.snapshot = write_lake(folder, {TENANT: tables})
        self.engine, self.lake = Engine(str(folder)), Lake(str(folder))

    def request(self, **changes: Any) -> AnalyticsRequest:
        values: dict[str, Any] = {
            "tenant_id": TENANT,
            "snapshot": self.snapshot,
            "timezone": TIMEZONE,
            "currency": "USD",
            "currency_digits": 2,
            "now": NOW,
            "start": date(2026, 2, 1),
            "end": date(2026, 12, 1),
            "compare": "none",
            **changes,
        }
        return AnalyticsRequest(**values)

    def figures(self, asked: Asked, **changes: Any) -> dict[str, Any]:
        return build_figures(self.engine, self.lake, self.request(**changes), asked)

    def rows(self, asked: Asked, **changes: Any) -> dict[str, Any]:
        return build_rows(self.engine, self.lake, self.request(**changes), asked)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = Shop(tmp_path_factory.mktemp("lake"))
    yield made
    made.engine.close()


# Net sales, orders, cancelled orders. o4, cancelled, was paid by card and in cash, by c3.
SALES: dict[str, dict[str | None, tuple[Decimal, int, int]]] = {
    "payment_method": {
        None: (D("35.50"), 4, 0),
        "credit_card": (D("15.00"), 1, 0),
        "cash": (D("6.00"), 1, 0),
        ":mixed": (D("0.00"), 0, 1),
    },
    "discount": {
        None: (D("25.50"), 3, 1),
        "TEN": (D("15.00"), 1, 0),
        "::several": (D("10.00"), 1, 0),
        ":several": (D("6.00"), 1, 0),
    },
    "customer_type": {
        "new": (D("15.50"), 2, 1),
        "returning": (D("21.00"), 2, 0),
        None: (D("20.00"), 2, 0),
    },
    # of two customers with an order: c1 has ordered more often and for more, both on one day
    "customer_segment": {
        "champions": (D("26.50"), 3, 0),
        "new": (D("10.00"), 1, 0),
        None: (D("20.00"), 2, 1),
    },
}


@pytest.mark.parametrize("name", SALES)
def test_sales_by_what_is_told_of_the_order(shop: Shop, name: str) -> None:
    metrics = ("net_sales", "orders", "cancelled_orders")
    answer = shop.figures(Asked(metrics=metrics, dimensions=(name,)))
    found = {p["dimensions"][name]: tuple(p["metrics"].values()) for p in answer["data"]}
    assert found == SALES[name]
    for value, figures in SALES[name].items():
        filters = (Filter(name, (value,)),)
        opened = shop.rows(Asked(metrics=metrics, filters=filters, segmented_at=NOW))
        assert tuple(opened["figures"].values()) == figures
        added = zip(*(row["amounts"].values() for row in opened["data"]), strict=True)
        assert tuple(sum(column) for column in added) == figures
    # what is told of the order is told of its lines
    by_line = shop.figures(Asked(metrics=("net_sales",), dimensions=(name, "product")))
    for value, (net_sales, *_) in SALES[name].items():
        of_value = [p for p in by_line["data"] if p["dimensions"][name] == value]
        assert sum(p["metrics"]["net_sales"] for p in of_value) == net_sales


def test_groups_without_rows_are_left_out_and_those_of_the_clock_are_in_its_order(
    shop: Shop,
) -> None:
    """Of o4, which was cancelled, there are no sales, and of guests no customers."""
    for metrics, name, missing in (
        (("net_sales",), "payment_method", ":mixed"),
        (COUNTS, "customer_type", None),
    ):
        parts = shop.figures(Asked(metrics=metrics, dimensions=(name,)))["data"]
        assert missing not in [part["dimensions"][name] for part in parts]
        assert all(any(part["metrics"].values()) for part in parts)
        gone = shop.rows(Asked(metrics=metrics, filters=(Filter(name, (missing,)),)))
        assert gone["row_count"] == 0
    for dimensions in (("weekday",), ("channel", "hour_of_day"), ("weekday", "time")):
        asked = Asked(metrics=("net_sales",), dimensions=dimensions)
        first = "time" if "time" in dimensions else dimensions[-1]
        found = [part["dimensions"][first] for part in shop.figures(asked)["data"]]
        assert found == sorted(found)
    best = Asked(metrics=("net_sales",), dimensions=("weekday",), sort="net_sales")
    sales = [part["metrics"]["net_sales"] for part in shop.figures(best)["data"]]
    assert sales == sorted(sales, reverse=True)


def test_segments_are_those_of_an_instant_in_all_channels(shop: Shop) -> None:
    """In February c1 alone had ordered, and 267 days later both had on one day."""
    asked = Asked(metrics=("orders",), dimensions=("customer_segment",))
    february = {"start": date(2026, 2, 1), "end": date(2026, 3, 1)}
    [part] = shop.figures(asked, **february)["data"]
    assert part["dimensions"] == {"customer_segment": "new"}
    named = dict(part["rows"])
    assert named["segmented_at"] == "2026-03-01T05:00:00.000000Z"
    filters = (Filter("customer_segment", ("champions",)),)
    later = Asked(metrics=("orders",), filters=filters, segmented_at=NOW)
    assert shop.rows(later, **february)["figures"] == {"orders": 1}
    by_channel = shop.figures(asked, channel="pos")
    [part] = by_channel["data"]
    assert (part["dimensions"], part["metrics"]) == (
        {"customer_segment": "champions"},
        {"orders": 1},
    )
    assert dict(part["rows"])["channel"] == "pos"


def test_a_lake_without_discounts_does_not_tell_of_them(shop: Shop) -> None:
    versions = {name: v for name, v in shop.snapshot.versions.items() if name != "discounts"}
    older = Snapshot(shop.snapshot.id, shop.snapshot.as_of, versions)
    with pytest.raises(TableMissing):
        shop.figures(Asked(metrics=("orders",), dimensions=("discount",)), snapshot=older)
    answer = shop.figures(Asked(metrics=("orders",), dimensions=("channel",)), snapshot=older)
    assert answer["totals"]["metrics"] == {"orders": 6}


# customers, new and returning ones: c1 has ordered on the web and at the till; o4 was cancelled
PEOPLE: dict[str, dict[str | int | None, tuple[int, int, int]]] = {
    "channel": {"web": (2, 2, 1), "pos": (1, 1, 1)},
    "payment_method": {None: (2, 2, 0), "credit_card": (1, 1, 1), "cash": (1, 1, 1)},
    "customer_type": {"new": (2, 2, 0), "returning": (1, 1, 1)},
    "weekday": {5: (1, 1, 0), 6: (1, 1, 1), 7: (2, 2, 1)},
}
COUNTS = ("customers", "new_customers", "returning_customers")


@pytest.mark.parametrize("name", PEOPLE)
def test_customers_by_what_is_told_of_their_orders(shop: Shop, name: str) -> None:
    answer = shop.figures(Asked(metrics=COUNTS, dimensions=(name,)))
    found = {p["dimensions"][name]: tuple(p["metrics"].values()) for p in answer["data"]}
    if name == "weekday":
        found = {day: figures for day, figures in found.items() if any(figures)}
    assert found == PEOPLE[name]
    assert tuple(answer["totals"]["metrics"].values()) == (2, 2, 1)
    for value, figures in PEOPLE[name].items():
        opened = shop.rows(Asked(metrics=COUNTS, filters=(Filter(name, (value,)),)))
        assert tuple(opened["figures"].values()) == figures
        assert opened["row_count"] == figures[0]
    [c2, c1] = shop.rows(Asked(metrics=COUNTS))["data"]
    assert (c1["order_id"], c2["order_id"], c1["kind"]) == ("o3", "o2", "customer")
    assert (c1["amounts"]["returning_customers"], c2["amounts"]["returning_customers"]) == (1, 0)


VISITS = ("sessions", "visitors", "page_views", "cart_sessions", "converted_sessions")
TRAFFIC: dict[str, dict[str | int | None, tuple[int, ...]]] = {
    "weekday": {6: (1, 1, 1, 0, 0), 7: (1, 1, 0, 1, 1), 2: (2, 2, 1, 1, 0)},
    "referrer": {"find": (1, 1, 1, 1, 1), None: (2, 2, 1, 1, 0)},
    "device": {"mobile": (1, 1, 1, 1, 1), "desktop": (2, 2, 1, 1, 0)},
}


@pytest.mark.parametrize("name", TRAFFIC)
def test_traffic_by_time_and_by_where_sessions_came_from(shop: Shop, name: str) -> None:
    asked = Asked(metrics=(*VISITS, "conversion_rate"), dimensions=(name,), sort="sessions")
    answer = shop.figures(asked)
    figures = {p["dimensions"][name]: tuple(p["metrics"].values()) for p in answer["data"]}
    found = {value: each[:5] for value, each in figures.items() if any(each[:5])}
    assert found == TRAFFIC[name]
    assert answer["totals"]["metrics"] == {
        **dict(zip(VISITS, (3, 2, 2, 2, 1), strict=True)),
        "conversion_rate": D("0.3333"),
    }
    # a visitor who came twice counts once
    rows = shop.rows(Asked(metrics=VISITS))["data"]
    assert [(row["visitor_id"], row["session_id"]) for row in rows] == [
        ("v1", "s1"), ("v1", "s2"), ("v2", "s1"),
    ]  # fmt: skip
    assert [row["amounts"]["visitors"] for row in rows] == [0, 1, 1]
    # a session that was there before the period has landed in it with its first event there
    later = {"start": date(2026, 3, 15), "end": date(2026, 3, 16), "compare": "previous_period"}
    landed = shop.figures(Asked(metrics=VISITS, dimensions=("referrer",)), **later)
    told = {p["dimensions"]["referrer"]: (p["metrics"], p["previous"]) for p in landed["data"]}
    assert told["pay"][0]["converted_sessions"] == told["find"][1]["page_views"] == 1
    assert told["pay"][1]["sessions"] == told["find"][0]["sessions"] == 0


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        (Asked(metrics=("customers", "net_sales")), "metrics/1"),
        (Asked(metrics=("sessions",), dimensions=("channel",)), "metrics/0"),
        (Asked(metrics=("customers",), dimensions=("product",)), "metrics/0"),
        (Asked(metrics=("net_sales",), dimensions=("device",)), "metrics/0"),
    ],
)
def test_what_does_not_go_together_is_refused(shop: Shop, asked: Asked, place: str) -> None:
    with pytest.raises(BadParameter) as refused:
        shop.figures(asked)
    assert refused.value.parameter == place
    with pytest.raises(BadParameter):
        shop.figures(Asked(metrics=("sessions",)), channel="web")


def test_hours_are_opened_by_their_instant_and_segments_as_of_any(shop: Shop) -> None:
    """A time without offset would be one of the machine's own zone."""
    o1 = Filter("time", ("2026-03-08T04:00:00+00:00",))
    opened = shop.rows(Asked(metrics=("orders",), filters=(o1,)), interval="hour")
    assert opened["figures"] == {"orders": 1}
    without_offset = Asked(metrics=("orders",), filters=(Filter("time", ("2026-03-08T04:00",)),))
    with pytest.raises(BadParameter) as refused:
        shop.rows(without_offset, interval="hour")
    assert refused.value.parameter == "time"
    for at in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)):
        filters = (Filter("customer_segment", (None,)),)
        asked = Asked(metrics=("orders",), filters=filters, segmented_at=at)
        assert shop.rows(asked)["figures"]["orders"] >= 2
