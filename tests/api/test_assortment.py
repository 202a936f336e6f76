"""Figures of stock over HTTP: what sales, cancellings and returns make of them, what is refused."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.verification import run_verify
from shop_api.app import App, create_app
from tests.fixtures.api import AnswerChecker, ApiClient, Shop
from tests.fixtures.lake import new_lake, published
from tests.fixtures.stores import Database

REPORT = "/api/v1/analytics/reports/inventory"
ORDERS = "/api/v1/orders"


@pytest.fixture(scope="module")
def lake(database: Database, tmp_path_factory: pytest.TempPathFactory) -> LakeContext:
    return new_lake(database, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def app(
    database: Database, redis_url: str, lake: LakeContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    """An application that reads the lake of this module."""
    settings = database.settings(
        tmp_path_factory.mktemp("data"), redis_url, lake_url=lake.location, cache_bytes=0
    )
    built = create_app(settings)
    yield built
    built.close()


@pytest.fixture(scope="module")
def api(app: App) -> ApiClient:
    return ApiClient(app, AnswerChecker(app))


def follow(app: App, lake: LakeContext) -> None:
    """Wait until the application sees the newest snapshot."""
    newest = published(lake).id
    deadline = time.monotonic() + 5
    while app.lake.snapshot().id < newest:
        assert time.monotonic() < deadline, "the new snapshot is not seen"
        time.sleep(0.005)


def exported(app: App, lake: LakeContext) -> None:
    """Export what happened; what the lake has is what Postgres has."""
    assert run_verify(lake, datetime.now(UTC)).differences == []
    follow(app, lake)


def stocked(shop: Shop, quantity: int, cost: str = "4.00") -> tuple[str, str]:
    """A product with stock and a known cost; its id and its variant's."""
    product = shop.product("10.00", quantity, cost_price=Decimal(cost))
    return product["id"], product["variants"][0]["id"]


def row(shop: Shop, id: str, **query: Any) -> dict[str, Any]:
    answered = shop.api.get(REPORT, query={"period": "today", **query})
    assert answered.status == 200, answered.body
    [found] = [row for row in answered.json["data"] if row["id"] == id]
    return dict(found)


def figures(found: dict[str, Any]) -> tuple[Any, ...]:
    names = ("stock_on_hand", "stock_reserved", "units_sold", "stock_value")
    return tuple(found[name] for name in names)


def test_a_sale_a_return_and_a_cancelled_order(app: App, lake: LakeContext, shop: Shop) -> None:
    product_id, variant_id = stocked(shop, 10)
    order = shop.order((variant_id, 3)).json
    cancelled = shop.order((variant_id, 2)).json
    exported(app, lake)
    assert figures(row(shop, variant_id)) == (10, 5, 5, Decimal("40.00"))

    assert shop.api.post(f"{ORDERS}/{cancelled['id']}/cancel", {}).status == 200
    assert shop.api.post(f"{ORDERS}/{order['id']}/payments", {"method": "cash"}).status == 201
    path = f"{ORDERS}/{order['id']}"
    assert shop.api.post(f"{path}/fulfillments", {"carrier": "DHL"}).status == 201
    exported(app, lake)
    assert figures(row(shop, variant_id)) == (7, 0, 3, Decimal("28.00"))

    # one comes back to the shelf, one is broken
    [line] = order["lines"]
    back = [{"line_id": line["id"], "quantity": 1}]
    assert shop.api.post(f"{path}/returns", {"lines": back}).status == 201
    broken = [{"line_id": line["id"], "quantity": 1, "restock": False}]
    assert shop.api.post(f"{path}/returns", {"lines": broken}).status == 201
    exported(app, lake)
    found = row(shop, variant_id)
    assert figures(found) == (8, 0, 3, Decimal("32.00"))
    # 3 ÷ (3 + 8)
    assert found["sell_through"] == Decimal("0.2727")
    assert found["abc_class"] == "A"
    assert figures(row(shop, product_id, group_by="product")) == figures(found)


def test_stock_of_yesterday_is_nothing_for_what_came_today(
    app: App, lake: LakeContext, shop: Shop
) -> None:
    _, variant_id = stocked(shop, 10)
    exported(app, lake)
    found = row(shop, variant_id, period="yesterday")
    assert figures(found) == (0, 0, 0, Decimal("0.00"))
    assert found["stock_value_coverage"] is None


def test_an_adjustment_alone_reaches_the_report(app: App, lake: LakeContext, shop: Shop) -> None:
    _, variant_id = stocked(shop, 10)
    exported(app, lake)
    change = {"adjustments": [{"variant_id": variant_id, "delta": -4}], "reason": "damaged"}
    assert shop.api.post("/api/v1/inventory/adjustments", change).status == 200
    exported(app, lake)
    assert figures(row(shop, variant_id)) == (6, 0, 0, Decimal("24.00"))
    [cost] = [row(shop, variant_id, in_stock="true", limit=1)["stock_value_coverage"]]
    assert cost == Decimal("1.0000")


def test_pages_and_totals(app: App, lake: LakeContext, shop: Shop) -> None:
    for quantity in (1, 2, 3):
        stocked(shop, quantity)
    exported(app, lake)
    query = {"sort": "stock_on_hand", "order": "asc", "limit": 2}
    first = shop.api.get(REPORT, query=query).json
    second = shop.api.get(REPORT, query={**query, "offset": 2}).json
    assert [row["stock_on_hand"] for row in first["data"] + second["data"]] == [1, 2, 3]
    assert first["pagination"] == {"offset": 0, "limit": 2, "total": 3, "has_more": True}
    assert second["pagination"]["has_more"] is False
    assert first["totals"] == second["totals"]
    assert first["totals"]["stock_on_hand"] == 6


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"group_by": "colour"}, "group_by"),
        ({"sort": "price"}, "sort"),
        ({"limit": 101}, "limit"),
        ({"offset": 100001}, "offset"),
        ({"dead_after_days": 0}, "dead_after_days"),
        ({"abc_class": "D"}, "abc_class"),
        ({"dead_stock": "maybe"}, "dead_stock"),
        ({"location_id": "here"}, "location_id"),
        ({"channel": "web"}, "channel"),
        ({"from": "2026-03-01"}, "to"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "from"),
    ],
)
def test_what_cannot_be_answered_is_refused(shop: Shop, query: dict[str, Any], name: str) -> None:
    answered = shop.api.get(REPORT, query=query)
    assert answered.status == 400
    assert name in answered.body.decode()


def test_a_lake_of_an_earlier_release_says_so(
    app: App, lake: LakeContext, database: Database, shop: Shop
) -> None:
    stocked(shop, 1)
    exported(app, lake)
    with database.exporter_engine.begin() as connection:
        newest = connection.execute(
            text("SELECT versions FROM lake_snapshots ORDER BY id DESC LIMIT 1")
        ).scalar_one()
        del newest["stock_levels"]
        connection.execute(
            text(
                "INSERT INTO lake_snapshots (as_of, versions, xid, transactions, system_identifier)"
                " SELECT as_of, CAST(:versions AS jsonb), xid, transactions, system_identifier"
                " FROM lake_snapshots ORDER BY id DESC LIMIT 1"
            ),
            {"versions": json.dumps(newest)},
        )
    follow(app, lake)
    answered = shop.api.get(REPORT)
    assert (answered.status, answered.code) == (503, "lake_outdated")
    assert run_export(lake, datetime.now(UTC)).state == "published"
    follow(app, lake)
    assert shop.api.get(REPORT).status == 200


def test_products_by_what_they_sold(app: App, lake: LakeContext, shop: Shop) -> None:
    dear, variant_id = stocked(shop, 10)
    cheap, other_id = stocked(shop, 10, "1.00")
    shop.order((variant_id, 3), (other_id, 1))
    exported(app, lake)
    path = "/api/v1/analytics/products"
    answer = shop.api.get(path, query={"period": "today"}).json
    assert [row["product_id"] for row in answer["data"]] == [dear, cheap]
    first, second = answer["data"]
    assert (first["metrics"]["units"], first["metrics"]["gross_sales"]) == (3, Decimal("30.00"))
    # 3 at 10.00 that cost 4.00 each
    assert first["metrics"]["gross_profit"] == Decimal("18.00")
    assert first["metrics"]["cost_coverage"] == Decimal("1.0000")
    assert (first["share_of_sales"], second["share_of_sales"]) == (
        Decimal("0.7500"),
        Decimal("0.2500"),
    )
    assert (first["abc_class"], second["abc_class"]) == ("A", "A")
    opened = shop.api.get(first["rows"])
    assert opened.status == 200
    assert opened.json["figures"]["gross_sales"] == Decimal("30.00")
    assert shop.api.get(path, query={"sort": "name"}).status == 400
    assert shop.api.get(path, query={"limit": 0}).status == 400


def test_products_say_where_there_is_a_file(shop: Shop) -> None:
    refused = shop.api.get("/api/v1/analytics/products", query={"period": "30d", "format": "csv"})
    assert (refused.status, refused.code) == (400, "invalid_parameter")
    [error] = refused.json["errors"]
    assert error["pointer"] == "format"
    found = re.search(r"As a file: (\S+) with", error["detail"])
    assert found is not None
    query = {"group_by": "product", "period": "30d", "format": "csv"}
    assert found[1] == "/api/v1/analytics/reports/sales?group_by=product"
    assert shop.api.get(found[1].split("?")[0], query=query).status == 200
