"""Figures over HTTP: from an order to the dashboard, what is refused, and what may be kept."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from analytics.metrics.definitions import METRICS
from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.verification import run_verify
from shop_api.app import App, create_app
from shop_api.models import lake_snapshots
from tests.factories.pricing import ADDRESS, percent_off, place, shipping, tax
from tests.fixtures.api import AnswerChecker, ApiClient, Shop, open_shop
from tests.fixtures.lake import new_lake
from tests.fixtures.stores import Database

DASHBOARD = "/api/v1/analytics/dashboard"
REVENUE = "/api/v1/analytics/revenue"
ORDERS = "/api/v1/analytics/orders"
CUSTOMERS = "/api/v1/analytics/customers"
PRODUCTS = "/api/v1/analytics/products"


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


def sold(shop: Shop, price: str = "19.90", quantity: int = 2) -> dict[str, Any]:
    product = shop.product(price)
    answered = shop.order((product["variants"][0]["id"], quantity))
    assert answered.status == 201, answered.body
    order: dict[str, Any] = answered.json
    return order


def test_without_a_snapshot_there_are_no_figures(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    """A new installation says so, and says when to come back."""
    with database.exporter_engine.begin() as connection:
        connection.execute(delete(lake_snapshots))
    fresh = create_app(database.settings(tmp_path, redis_url))
    try:
        shop = open_shop(ApiClient(fresh, AnswerChecker(fresh)))
        answered = shop.api.get(DASHBOARD)
        assert (answered.status, answered.code) == (503, "lake_not_ready")
        assert answered.headers["Retry-After"] == "5"
    finally:
        fresh.close()


def test_prices_with_their_tax_and_without_make_the_same_figures(
    app: App, lake: LakeContext, shop: Shop
) -> None:
    """10 % off two of 100.00 before 22 % tax, and shipping of 5.00 before tax: twice."""
    tax(shop, "0.22", applies_to_shipping=True)
    percent_off(shop, "10")
    for price, fee, is_included in (("100.00", "5.00", False), ("122.00", "6.10", True)):
        shop.api.patch("/api/v1/tenant", {"prices_include_tax": is_included})
        rate = shipping(shop, fee)
        sent = {"shipping_address": ADDRESS, "shipping_rate_id": rate["id"]}
        order = place(shop, (shop.product(price), 2), **sent).json
        assert (order["prices_include_tax"], order["total"]) == (is_included, Decimal("225.70"))
    # and one that does not come out even
    odd = place(shop, (shop.product("9.99"), 3), (shop.product("0.07"), 1), **sent).json
    export(app, lake)
    answered = shop.api.get(REVENUE, query={"period": "today"})
    figures = answered.json["metrics"]
    assert figures["total_sales"] == 2 * Decimal("225.70") + odd["total"]
    assert figures["shipping"] == Decimal("15.00")
    # 29.97 and 0.07 without the tax in them
    assert figures["gross_sales"] == Decimal("400.00") + Decimal("24.57") + Decimal("0.06")
    assert figures["taxes"] == Decimal("81.40") + odd["tax_total"]
    net = figures["gross_sales"] - figures["discounts"]
    assert net == Decimal("360.00") + sum(
        line["total"] - line["tax_total"] for line in odd["lines"]
    )
    assert run_verify(lake, datetime.now(UTC)).differences == []


def test_an_order_reaches_the_dashboard(app: App, lake: LakeContext, shop: Shop) -> None:
    order = sold(shop)
    paid = shop.api.post(f"/api/v1/orders/{order['id']}/payments", {"method": "cash"})
    assert paid.status == 201
    export(app, lake)
    answered = shop.api.get(DASHBOARD, query={"period": "today"})
    assert answered.status == 200
    figures = answered.json
    assert figures["revenue"]["total"] == Decimal("39.80")
    [paid_in_cash] = figures["revenue"]["by_payment_method"]
    of_method = {"method": "cash", "amount": Decimal("39.80"), "payments": 1}
    assert paid_in_cash == {**of_method, "rows": paid_in_cash["rows"]}
    assert [p["units"] for p in figures["revenue"]["top_products"]] == [2]
    assert figures["orders"]["total"] == 1
    assert figures["orders"]["processing"] == 1
    assert len(figures["revenue"]["trend"]) == 24
    assert figures["traffic"]["sessions"] == 0
    assert figures["interval"] == "hour"
    assert datetime.fromisoformat(figures["as_of"]) > datetime.fromisoformat(order["placed_at"])
    assert b'"total":39.80,' in answered.body


def test_every_answer_agrees(app: App, lake: LakeContext, shop: Shop) -> None:
    first, second = sold(shop, "10.00"), sold(shop, "2.50", 4)
    assert shop.api.post(f"/api/v1/orders/{second['id']}/cancel").status == 200
    export(app, lake)
    query = {"period": "7d", "compare": "none"}
    dashboard, revenue, orders, customers = (
        shop.api.get(path, query=query).json for path in (DASHBOARD, REVENUE, ORDERS, CUSTOMERS)
    )
    # nobody gave a name
    assert customers["metrics"]["guest_orders"] == revenue["metrics"]["orders"] == 1
    assert customers["metrics"]["customers"] == dashboard["customers"]["total"] == 0
    assert revenue["metrics"]["gross_sales"] == Decimal(first["subtotal"])
    assert revenue["metrics"]["total_sales"] == dashboard["revenue"]["total"]
    assert orders["metrics"]["placed_orders"] == dashboard["orders"]["total"] == 2
    assert orders["metrics"]["cancelled_orders"] == dashboard["orders"]["cancelled"] == 1
    assert len(orders["series"]) == len(revenue["series"]) == 7
    assert orders["previous"] is None
    assert {d["snapshot"] for d in (dashboard, revenue, orders)} == {dashboard["snapshot"]}


def test_days_are_the_tenants(app: App, lake: LakeContext, api: ApiClient) -> None:
    shop = open_shop(api, "JPY", "Pacific/Kiritimati")
    sold(shop, "1990", 1)
    export(app, lake)
    answered = shop.api.get(DASHBOARD, query={"period": "today"})
    today = (datetime.now(UTC) + timedelta(hours=14)).date()
    assert answered.json["period"]["from"] == today.isoformat()
    assert answered.json["timezone"] == "Pacific/Kiritimati"
    assert b'"total":1990,' in answered.body


def test_another_tenant_sees_nothing_of_it(
    app: App, lake: LakeContext, shop: Shop, other_shop: Shop
) -> None:
    sold(shop)
    export(app, lake)
    figures = other_shop.api.get(DASHBOARD, query={"period": "all"}).json
    assert figures["revenue"]["total"] == 0
    assert figures["revenue"]["by_category"] == []
    assert figures["products"]["total"] == 0


def test_kept_until_the_tenants_own_figures_change(
    app: App, lake: LakeContext, shop: Shop, other_shop: Shop
) -> None:
    sold(shop)
    export(app, lake)
    first = shop.api.get(DASHBOARD)
    assert "fwd=miss" in first.headers["Cache-Status"]
    again = shop.api.get(DASHBOARD)
    assert "hit" in again.headers["Cache-Status"]
    assert again.body == first.body

    sold(other_shop)
    export(app, lake)
    assert "hit" in shop.api.get(DASHBOARD).headers["Cache-Status"]

    sold(shop)
    export(app, lake)
    changed = shop.api.get(DASHBOARD)
    assert changed.body != first.body
    assert changed.json["orders"]["total"] == 2


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"colour": "red"}, "colour"),
        ({"period": "fortnight"}, "period"),
        ({"interval": "minute"}, "interval"),
        ({"compare": "tomorrow"}, "compare"),
        ({"basis": "someday"}, "basis"),
        ({"currency": "XXY"}, "currency"),
        ({"channel": ""}, "channel"),
        ({"from": "2026-13-01", "to": "2026-12-01"}, "from"),
        ({"from": "20260101", "to": "2026-12-01"}, "from"),
        ({"from": "2026-01-01"}, "to"),
        ({"to": "2026-01-01"}, "from"),
        ({"from": "2026-01-01", "to": "2026-01-01"}, "from"),
        ({"from": "1815-01-01", "to": "2026-01-01"}, "from"),
        ({"period": "7d", "from": "2026-01-01", "to": "2026-02-01"}, "period"),
        ({"from": "2020-01-01", "to": "2026-01-01", "interval": "hour"}, "interval"),
    ],
)
def test_bad_parameters_are_named(
    app: App, lake: LakeContext, shop: Shop, query: dict[str, str], pointer: str
) -> None:
    export(app, lake)
    for path in (DASHBOARD, REVENUE, ORDERS):
        answered = shop.api.get(path, query=query)
        code = "unknown_parameter" if pointer == "colour" else "invalid_parameter"
        assert (answered.status, answered.code) == (400, code)
        assert [error["pointer"] for error in answered.json["errors"]] == [pointer]


def test_channel_and_currency_select(app: App, lake: LakeContext, shop: Shop) -> None:
    sold(shop)
    export(app, lake)
    assert shop.api.get(REVENUE, query={"channel": "pos"}).json["metrics"]["orders"] == 0
    assert shop.api.get(REVENUE, query={"channel": "web"}).json["metrics"]["orders"] == 1
    in_yen = shop.api.get(REVENUE, query={"currency": "JPY"})
    assert in_yen.json["currency"] == "JPY"
    assert b'"gross_sales":0,' in in_yen.body
    own = shop.api.get(REVENUE, query={"converted": "true", "currency": "USD"}).json
    assert (own["converted"], own["unconverted_orders"]) == (True, 0)
    assert own["metrics"]["orders"] == 1
    sentence = "Converted figures are in USD, the shop's own currency."
    for path in (DASHBOARD, REVENUE, ORDERS, CUSTOMERS, PRODUCTS):
        refused = shop.api.get(path, query={"converted": "true", "currency": "JPY"})
        assert (refused.status, refused.code) == (400, "invalid_parameter"), path
        assert refused.json["errors"] == [{"pointer": "currency", "detail": sentence}]
    question = {"metrics": ["gross_sales"], "converted": True, "currency": "JPY"}
    refused = shop.api.post("/api/v1/analytics/query", question)
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert refused.json["errors"] == [{"pointer": "/currency", "detail": sentence}]


def test_catalogue_lists_every_metric(shop: Shop) -> None:
    answered = shop.api.get("/api/v1/analytics/metrics")
    assert [metric["name"] for metric in answered.json["data"]] == list(METRICS)
    by_name = {metric["name"]: metric for metric in answered.json["data"]}
    assert by_name["net_sales"]["formula"] == "gross_sales − discounts − returns"
    assert not by_name["average_order_value"]["is_additive"]


def test_deadline_answers_503(app: App, lake: LakeContext, shop: Shop) -> None:
    """A deadline that has passed before the figures are there."""
    export(app, lake)
    late = create_app(app.services.settings.model_copy(update={"deadline_seconds": 1e-6}))
    try:
        answered = ApiClient(late, AnswerChecker(late), shop.api.token).get(DASHBOARD)
        assert (answered.status, answered.code) == (503, "deadline_exceeded")
        assert "Retry-After" in answered.headers
    finally:
        late.close()
