"""Figures of customers over HTTP: from orders to scores and files, and what is refused."""

import csv
import io
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from pipelines.context import LakeContext
from pipelines.runner import run_export
from shop_api.app import App, create_app
from tests.fixtures.api import AnswerChecker, ApiClient, Shop
from tests.fixtures.lake import new_lake
from tests.fixtures.stores import Database

CUSTOMERS = "/api/v1/analytics/customers"
REPORT = "/api/v1/analytics/reports/customers"
TODAY = {"period": "today"}


@pytest.fixture(scope="module")
def lake(database: Database, tmp_path_factory: pytest.TempPathFactory) -> LakeContext:
    return new_lake(database, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def app(
    database: Database, redis_url: str, lake: LakeContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    """An application that reads the lake of this module."""
    settings = database.settings(tmp_path_factory.mktemp("data"), redis_url, lake_url=lake.location)
    built = create_app(settings)
    yield built
    built.close()


@pytest.fixture(scope="module")
def api(app: App) -> ApiClient:
    return ApiClient(app, AnswerChecker(app))


def export(app: App, lake: LakeContext) -> None:
    """Export what happened, and wait until the application follows."""
    outcome = run_export(lake, datetime.now(UTC))
    assert outcome.snapshot is not None
    deadline = time.monotonic() + 5
    while app.lake.snapshot().id < outcome.snapshot.id:
        assert time.monotonic() < deadline, "the new snapshot is not seen"
        time.sleep(0.005)


@pytest.fixture
def buyers(app: App, lake: LakeContext, shop: Shop) -> list[str]:
    """Two customers: one ordered twice for 30.00 in all, one once for 10.00; and a guest."""
    variant = shop.product("10.00")["variants"][0]["id"]
    ids = []
    for name, quantities in (("ann", (1, 2)), ("bob", (1,)), (None, (1,))):
        body: dict[str, Any] = {}
        if name is not None:
            made = shop.api.post("/api/v1/customers", {"email": f"{name}@shop.example"})
            assert made.status == 201, made.body
            ids.append(made.json["id"])
            body["customer_id"] = made.json["id"]
        for quantity in quantities:
            lines = [{"variant_id": variant, "quantity": quantity}]
            assert shop.api.post("/api/v1/orders", {"lines": lines, **body}).status == 201
    export(app, lake)
    return ids


def test_orders_reach_the_figures_of_customers(shop: Shop, buyers: list[str]) -> None:
    answered = shop.api.get(CUSTOMERS, query=TODAY)
    assert answered.status == 200
    figures = answered.json
    assert figures["metrics"] == {
        "customers": 2,
        "new_customers": 2,
        "returning_customers": 1,
        "returning_customer_rate": Decimal("0.5"),
        "guest_orders": 1,
    }
    assert len(figures["series"]) == 24
    (cohort,) = figures["cohorts"]["data"]
    assert (cohort["customers"], cohort["net_sales"]) == (2, Decimal("40.00"))
    segments = {s["segment"]: s["customers"] for s in figures["rfm"]["segments"]}
    assert {name: n for name, n in segments.items() if n} == {"champions": 1, "new": 1}
    assert figures["lifetime_value"]["lifetime_value"] == Decimal("20.00")
    assert figures["repeat_interval"]["repeat_orders"] == 1
    assert "hit" in shop.api.get(CUSTOMERS, query=TODAY).headers["Cache-Status"]


def test_a_row_for_each_customer(shop: Shop, buyers: list[str]) -> None:
    ann, bob = buyers
    answered = shop.api.get(REPORT, query=TODAY)
    assert [row["customer_id"] for row in answered.json["data"]] == [ann, bob]
    first = answered.json["data"][0]
    assert (first["orders"], first["net_sales"]) == (2, Decimal("30.00"))
    assert (first["average_order_value"], first["segment"]) == (Decimal("15.00"), "champions")
    assert b"@shop.example" not in answered.body
    assert b'"net_sales":30.00,' in answered.body
    newest = shop.api.get(REPORT, query={**TODAY, "segment": "new"}).json
    assert [row["customer_id"] for row in newest["data"]] == [bob]
    page = shop.api.get(REPORT, query={**TODAY, "limit": 1, "order": "asc", "sort": "orders"}).json
    assert [row["customer_id"] for row in page["data"]] == [bob]
    assert page["pagination"] == {"offset": 0, "limit": 1, "total": 2, "has_more": True}
    assert "hit" in shop.api.get(REPORT, query=TODAY).headers["Cache-Status"]


def test_the_report_as_files(shop: Shop, buyers: list[str]) -> None:
    pages = shop.api.get(REPORT, query=TODAY).json
    ids = [row["customer_id"] for row in pages["data"]]
    # a file is named by its last day, which `to` is not
    last_on = date.fromisoformat(pages["period"]["to"]) - timedelta(days=1)
    name = f"customers-{pages['period']['from']}-{last_on}-USD"
    for form, content_type in (
        ("csv", "text/csv; charset=utf-8"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("parquet", "application/vnd.apache.parquet"),
    ):
        answered = shop.api.get(REPORT, query={**TODAY, "format": form})
        assert answered.status == 200
        assert answered.headers["Content-Type"] == content_type
        disposition = f'attachment; filename="{name}.{form}"'
        assert answered.headers["Content-Disposition"] == disposition
        assert "hit" not in answered.headers["Cache-Status"]
        if form == "csv":
            rows = list(csv.DictReader(io.StringIO(answered.body.decode(), newline="")))
            assert [row["customer_id"] for row in rows] == ids
            assert [row["net_sales"] for row in rows] == ["30.00", "10.00"]
        elif form == "parquet":
            frame = pl.read_parquet(io.BytesIO(answered.body))
            assert frame["customer_id"].to_list() == ids
            assert frame["net_sales"].sum() == Decimal("40.00")
        else:
            assert answered.body.startswith(b"PK")
        one = shop.api.get(REPORT, query={**TODAY, "format": form, "limit": 1, "offset": 1})
        assert one.body != answered.body
        assert one.headers["ETag"] != answered.headers["ETag"]


def test_another_shop_has_none_of_them(
    app: App, lake: LakeContext, other_shop: Shop, buyers: list[str]
) -> None:
    answered = other_shop.api.get(REPORT, query={"period": "all"})
    assert answered.json["data"] == []
    assert answered.json["pagination"]["total"] == 0
    assert other_shop.api.get(CUSTOMERS).json["metrics"]["customers"] == 0


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"segment": "whales"}, "segment"),
        ({"sort": "email"}, "sort"),
        ({"order": "up"}, "order"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "0"}, "limit"),
        ({"offset": "100001"}, "offset"),
        ({"format": "pdf"}, "format"),
        ({"compare": "none"}, "compare"),
        ({"interval": "week"}, "interval"),
        ({"from": "2026-01-01"}, "to"),
    ],
)
def test_bad_parameters_are_named(
    app: App, lake: LakeContext, shop: Shop, query: dict[str, str], pointer: str
) -> None:
    export(app, lake)
    answered = shop.api.get(REPORT, query=query)
    assert answered.status == 400
    assert [error["pointer"] for error in answered.json["errors"]] == [pointer]
