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


# o1 has a code on its teas; o3 two that take off its shipping; o2 one that applied by itself
DISCOUNTS = [
    discount("o1", 1, code="TEN", line_id="o1-tea", amount=D("1.00"), kind="percentage"),
    discount("o3", 1, code="TEN", kind="free_shipping"),
    discount("o3", 2, code="FREE", kind="free_shipping"),
    discount("o2", 1, kind="free_shipping"),
]


class Shop:
    """The golden shop's lake."""

    def __init__(self, folder: Path) -> None:
        self.snapshot = write_lake(folder, {TENANT: {**TABLES, "discounts": DISCOUNTS}})
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
        "mixed": (D("0.00"), 0, 1),
    },
    "discount": {
        None: (D("25.50"), 3, 1),
        "TEN": (D("15.00"), 1, 0),
        "Spring": (D("10.00"), 1, 0),
        "several": (D("6.00"), 1, 0),
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
