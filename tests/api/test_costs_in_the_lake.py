"""What sold goods cost, from the catalogue to the API: told where it is known."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.verification import run_verify
from shop_api.app import App, create_app
from tests.api.test_fulfillments import act, some
from tests.api.test_orders import move, pay, variant_id
from tests.fixtures.api import Shop
from tests.fixtures.lake import new_lake, published
from tests.fixtures.stores import Database

COSTS = ("cost_of_goods", "gross_profit", "profit_margin", "cost_coverage")


@pytest.fixture(scope="module")
def lake(database: Database, tmp_path_factory: pytest.TempPathFactory) -> LakeContext:
    return new_lake(database, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def app(
    database: Database, redis_url: str, lake: LakeContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    settings = database.settings(
        tmp_path_factory.mktemp("data"),
        redis_url,
        lake_url=lake.location,
        credential_cache_seconds=0.0,
    )
    built = create_app(settings)
    yield built
    built.close()


def follow(app: App, lake: LakeContext) -> None:
    """Wait until the application answers from the newest snapshot."""
    newest, deadline = published(lake).id, time.monotonic() + 10
    while app.lake.snapshot().id < newest:
        assert time.monotonic() < deadline, "the new snapshot is not seen"
        time.sleep(0.005)


def costs(app: App, shop: Shop, lake: LakeContext, **query: Any) -> dict[str, Any]:
    """The figures about costs, and net sales, once the lake is up to date and agrees."""
    run_export(lake, datetime.now(UTC))
    assert run_verify(lake, datetime.now(UTC)).differences == []
    follow(app, lake)
    answered = shop.api.get("/api/v1/analytics/revenue", query={"period": "all", **query})
    assert answered.status == 200, answered.body
    metrics: dict[str, Any] = answered.json["metrics"]
    # by hour the facts are asked, by day the rollup
    query["interval"] = "hour"
    query.pop("period", None)
    by_hour = shop.api.get("/api/v1/analytics/revenue", query={"period": "7d", **query}).json
    for name in COSTS[:2]:
        assert sum(point[name] for point in by_hour["series"]) == metrics[name], name
    return {name: metrics[name] for name in ("net_sales", *COSTS)}


def test_profit_is_told_of_what_has_a_cost(app: App, shop: Shop, lake: LakeContext) -> None:
    known = shop.product("20.00", 9, cost_price=Decimal("8.50"))
    unknown = shop.product("10.00", 9)
    order = shop.order((variant_id(known), 3), (variant_id(unknown), 4)).json
    assert costs(app, shop, lake) == {
        "net_sales": Decimal("100.00"),
        "cost_of_goods": Decimal("25.50"),
        "gross_profit": Decimal("34.50"),
        "profit_margin": Decimal("0.5750"),
        "cost_coverage": Decimal("0.6000"),
    }
    # the cost is that of the sale, whatever the catalogue says later
    shop.api.patch(f"/api/v1/products/{known['id']}", {"cost_price": Decimal("1.00")})
    pay(shop, order)
    move(shop, order, "complete")
    act(shop, order, "refunds", some(order, 1, 2))
    for basis in ("order_date", "event_date"):
        assert costs(app, shop, lake, basis=basis) == {
            "net_sales": Decimal("60.00"),
            "cost_of_goods": Decimal("25.50"),
            "gross_profit": Decimal("14.50"),
            "profit_margin": Decimal("0.3625"),
            "cost_coverage": Decimal("0.6667"),
        }, basis
    gone = shop.order((variant_id(known), 1)).json
    before = costs(app, shop, lake)
    move(shop, gone, "cancel")
    after = costs(app, shop, lake)
    assert before["cost_of_goods"] - after["cost_of_goods"] == Decimal("1.00")
    assert after["gross_profit"] == Decimal("14.50")
