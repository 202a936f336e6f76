"""Products by what they sold, over the golden shop: figures worked out by hand."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot
from analytics.reports.products import ProductOptions, build_products, classify
from tests.factories import golden_shop
from tests.factories.lake import write_lake

D = Decimal
MARCH = {"start": date(2026, 3, 1), "end": date(2026, 4, 1)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Lake, Snapshot]]:
    folder = tmp_path_factory.mktemp("lake")
    snapshot = write_lake(folder, {golden_shop.TENANT: golden_shop.TABLES})
    engine = Engine(str(folder))
    yield engine, Lake(str(folder)), snapshot
    engine.close()


def ask(
    place: tuple[Engine, Lake, Snapshot], options: ProductOptions | None = None, **changes: Any
) -> dict[str, Any]:
    engine, lake, snapshot = place
    values = {
        "tenant_id": golden_shop.TENANT,
        "snapshot": snapshot,
        "timezone": golden_shop.TIMEZONE,
        "currency": "USD",
        "currency_digits": 2,
        "now": datetime(2026, 4, 10, 15, 0, tzinfo=UTC),
        **MARCH,
        **changes,
    }
    return build_products(engine, lake, AnalyticsRequest(**values), options or ProductOptions())


def test_march_by_order_date(place: tuple[Engine, Lake, Snapshot]) -> None:
    """Tea: 2 and 1 at 10.00 less 1.00, one refunded with 9.50. o4 was cancelled."""
    answer = ask(place)
    # what of a refund is of no product, tax and shipping and no goods, is no row of one
    tea, spoon, cup = answer["data"]
    assert (tea["product_id"], spoon["product_id"], cup["product_id"]) == ("tea", "spoon", "cup")
    sold = {name: tea["metrics"][name] for name in ("units", "gross_sales", "discounts", "returns")}
    assert sold == {
        "units": 3,
        "gross_sales": D("30.00"),
        "discounts": D("1.00"),
        "returns": D("9.50"),
    }
    assert tea["metrics"]["net_sales"] == D("19.50")
    assert tea["metrics"]["profit_margin"] is None
    # of 41.50
    shares = [row["share_of_sales"] for row in answer["data"]]
    assert shares == [D("0.7229"), D("0.1446"), D("0.1325")]
    # 30.00 before the spoons are less than 80 %, 36.00 before the cups are not
    assert [row["abc_class"] for row in answer["data"]] == ["A", "A", "B"]
    # February sold one cup as well
    assert cup["previous"]["gross_sales"] == D("5.50")
    assert cup["change"]["gross_sales"] == D("0.0000")
    assert answer["totals"]["metrics"]["gross_sales"] == D("41.50")
    assert dict(tea["rows"])["product"] == "tea"


def test_pages_keep_the_classes(place: tuple[Engine, Lake, Snapshot]) -> None:
    page = ask(place, ProductOptions(sort="units", order="asc", limit=1))
    [row] = page["data"]
    assert (row["product_id"], row["abc_class"]) == ("cup", "B")
    assert page["pagination"] == {"offset": 0, "limit": 1, "total": 3, "has_more": True}
    last = ask(place, ProductOptions(limit=2, offset=1))
    assert [row["product_id"] for row in last["data"]] == ["spoon", "cup"]
    assert last["pagination"]["has_more"] is False


def test_what_sold_only_before_is_compared(place: tuple[Engine, Lake, Snapshot]) -> None:
    """In April nothing was sold; in March tea, spoons and cups were."""
    answer = ask(place, start=date(2026, 4, 1), end=date(2026, 5, 1))
    tea = next(row for row in answer["data"] if row["product_id"] == "tea")
    assert (tea["metrics"]["units"], tea["abc_class"], tea["share_of_sales"]) == (0, "C", None)
    assert tea["previous"]["units"] > 0
    assert answer["pagination"]["total"] == len(answer["data"])


def test_by_net_sales_and_without_comparison(place: tuple[Engine, Lake, Snapshot]) -> None:
    answer = ask(place, ProductOptions(sort="net_sales", abc_by="net_sales"), compare="none")
    # 19.50, 6.00 and 5.50 of 31.00
    assert [row["share_of_sales"] for row in answer["data"]] == [
        D("0.6290"),
        D("0.1935"),
        D("0.1774"),
    ]
    assert [row["abc_class"] for row in answer["data"]] == ["A", "A", "B"]
    assert answer["data"][0]["previous"] is None


def test_classes_of_ties_and_of_no_sales() -> None:
    """80 % exactly is B; equal sales are in the order of ids; below zero is C."""
    sales: list[tuple[str | None, Decimal]] = [
        ("d", D(5)),
        ("b", D(10)),
        ("a", D(80)),
        ("c", D(5)),
        ("e", D(-3)),
        (None, D(0)),
    ]
    assert classify(sales) == {"a": "A", "b": "B", "c": "B", "d": "C", "e": "C", None: "C"}
    assert classify([]) == {}
