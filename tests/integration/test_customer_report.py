"""The report with a row per customer, over the shop that is worked out by hand."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot
from analytics.reports.customers import (
    COLUMNS,
    SORTS,
    CustomerSelection,
    build_customer_file,
    build_customer_page,
)
from tests.factories import customer_shop
from tests.factories.lake import write_lake

D = Decimal
MARCH = {"start": date(2026, 3, 1), "end": date(2026, 4, 1)}
Page = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Engine, Lake, Snapshot]]:
    folder = tmp_path_factory.mktemp("lake")
    snapshot = write_lake(folder, {customer_shop.TENANT: customer_shop.TABLES})
    engine = Engine(str(folder))
    yield engine, Lake(str(folder)), snapshot
    engine.close()


def make_request(snapshot: Snapshot, **changes: Any) -> AnalyticsRequest:
    values: dict[str, Any] = {
        "tenant_id": customer_shop.TENANT,
        "snapshot": snapshot,
        "timezone": customer_shop.TIMEZONE,
        "currency": "USD",
        "currency_digits": 2,
        "now": datetime(2026, 4, 10, 15, 0, tzinfo=UTC),
        **MARCH,
        **changes,
    }
    return AnalyticsRequest(**values)


@pytest.fixture
def page(place: tuple[Engine, Lake, Snapshot]) -> Page:
    engine, lake, snapshot = place

    def asked(request: dict[str, Any] | None = None, **selection: Any) -> dict[str, Any]:
        chosen = CustomerSelection(**selection)
        return build_customer_page(engine, lake, make_request(snapshot, **(request or {})), chosen)

    return asked


def test_a_customer_has_what_is_of_the_period_and_what_all_makes_of_them(page: Page) -> None:
    """Of March bob has 20.00 of his 60.00; ages and scores are those of test_segments."""
    rows = {row["customer_id"]: row for row in page()["data"]}
    assert list(rows["bob"]) == [column.name for column in COLUMNS]
    assert rows["bob"] == {
        "customer_id": "bob",
        "segment": "at_risk",
        "currency": "USD",
        "orders": 2,
        "gross_sales": D("20.00"),
        "discounts": D("0.00"),
        "returns": D("0.00"),
        "net_sales": D("20.00"),
        "average_order_value": D("10.00"),
        "first_order_at": "2026-02-01T04:30:00.000000Z",
        "last_order_at": "2026-03-08T07:30:00.000000Z",
        "recency_days": 23,
        "frequency": 3,
        "monetary": D("60.00"),
        "recency_score": 2,
        "frequency_score": 4,
        "monetary_score": 1,
    }
    # he ordered before, not in March
    dan = rows["dan"]
    assert (dan["orders"], dan["net_sales"], dan["average_order_value"]) == (0, D("0.00"), None)
    assert (dan["segment"], dan["monetary"]) == ("lost", D("60.00"))


def test_what_comes_back_counts_by_the_basis(page: Page) -> None:
    """cat's 30.00 of 2 April are February's; by event_date April's."""
    february = {"start": date(2026, 2, 1), "end": date(2026, 3, 1)}
    april = {"start": date(2026, 4, 1), "end": date(2026, 5, 1)}
    for period, basis, returns, monetary in (
        (february, "order_date", "30.00", "50.00"),
        (february, "event_date", "0.00", "80.00"),
        (april, "order_date", "0.00", "75.00"),
        (april, "event_date", "30.00", "75.00"),
    ):
        rows = page({**period, "basis": basis})["data"]
        cat = next(row for row in rows if row["customer_id"] == "cat")
        assert (cat["returns"], cat["monetary"]) == (D(returns), D(monetary))


def test_pages_in_order(page: Page) -> None:
    """bob and dan tie at 60.00: the ids decide, in either direction."""
    for direction, expected in (
        (True, ["ann", "cat", "bob", "dan"]),
        (False, ["bob", "dan", "cat", "ann"]),
    ):
        found = []
        for offset in range(0, 5, 2):
            answer = page(sort="monetary", is_descending=direction, limit=2, offset=offset)
            found += [row["customer_id"] for row in answer["data"]]
            assert answer["pagination"] == {
                "offset": offset,
                "limit": 2,
                "total": 4,
                "has_more": offset == 0,
            }
        assert found == expected


@pytest.mark.parametrize("sort", SORTS)
def test_every_sort_sorts(page: Page, sort: str) -> None:
    for is_descending in (True, False):
        rows = page(sort=sort, is_descending=is_descending)["data"]
        values = [row[sort] for row in rows]
        assert values == sorted(values, reverse=is_descending)
        assert len(rows) == 4


def test_a_segment_alone(page: Page) -> None:
    answer = page(segment="champions")
    assert [row["customer_id"] for row in answer["data"]] == ["ann"]
    # ranked among all, not among the segment
    assert answer["data"][0]["frequency_score"] == 4
    assert answer["pagination"]["total"] == 1
    assert page(segment="new")["data"] == []
    assert page(segment="new", offset=10)["pagination"]["total"] == 0


def test_an_order_that_is_none(page: Page) -> None:
    with pytest.raises(ValueError, match="no order by"):
        page(sort="customer_id; DROP TABLE orders")


@pytest.mark.parametrize("basis", ["order_date", "event_date"])
def test_a_file_has_the_rows_of_the_page(
    place: tuple[Engine, Lake, Snapshot], page: Page, basis: str
) -> None:
    engine, lake, snapshot = place
    request = make_request(snapshot, basis=basis)
    rows = page({"basis": basis})["data"]

    def content(form: str) -> bytes:
        file = build_customer_file(engine, lake, request, CustomerSelection(), form)
        assert file.name == f"customers-2026-03-01-2026-03-31-USD.{form}"
        return b"".join(file.read_in_parts())

    in_csv = csv.DictReader(io.StringIO(content("csv").decode(), newline=""))
    assert list(in_csv) == [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in rows
    ]
    frame = pl.read_parquet(io.BytesIO(content("parquet")))
    assert frame.schema["monetary"] == pl.Decimal(38, 4)
    assert frame["monetary"].to_list() == [row["monetary"] for row in rows]
    assert frame["last_order_at"].to_list() == [
        datetime.fromisoformat(row["last_order_at"]) for row in rows
    ]
    assert content("xlsx").startswith(b"PK")
