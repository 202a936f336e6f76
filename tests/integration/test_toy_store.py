"""The Maven toy store comes in by a mapping alone: its published figures, to the cent, in Postgres
and over HTTP, and a second import to no effect.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.runner import run_export
from pipelines.verification import run_verify
from shop_api.app import create_app
from shop_api.bulk.mapping import load_preset
from tests.factories.imports import fingerprint, import_folder, query
from tests.fixtures.api import AnswerChecker, ApiClient, Shop, open_shop
from tests.fixtures.lake import new_lake
from tests.fixtures.stores import Database

FOLDER = Path("../shared/data/maven-toy-store")
PRESET = "maven_toy_store"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the data folder is not here")


@pytest.fixture(scope="module")
def toy_store(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """A shop with every order of the toy store, in the lake."""
    lake = new_lake(database, tmp_path_factory.mktemp("lake"))
    settings = database.settings(tmp_path_factory.mktemp("data"), redis_url, lake_url=lake.location)
    app = create_app(settings)
    shop = open_shop(ApiClient(app, AnswerChecker(app)))
    summary = import_folder(database, shop.tenant_id, FOLDER, load_preset(PRESET))
    assert summary.rejects.total == 0
    run_export(lake, datetime.now(UTC))
    assert run_verify(lake, datetime.now(UTC)).differences == []
    yield shop
    app.close()


def test_its_orders_add_up(database: Database, toy_store: Shop) -> None:
    tenant_id = toy_store.tenant_id
    assert query(
        database,
        tenant_id,
        "SELECT count(*), sum(subtotal), sum(refunded_total), count(DISTINCT customer_id),"
        " bool_and(paid_total = total) FROM orders",
    ) == [(32_313, Decimal("1938509.7500"), Decimal("85338.6900"), 31_696, True)]
    assert query(
        database, tenant_id, "SELECT count(*), sum(unit_cost * quantity) FROM order_lines"
    ) == [(40_025, Decimal("722370.2500"))]
    assert query(
        database,
        tenant_id,
        "SELECT (SELECT count(*) FROM refunds), count(*), sum(amount) FROM refund_lines",
    ) == [(1_731, 1_731, Decimal("85338.6900"))]
    assert query(
        database,
        tenant_id,
        "SELECT p.name, sum(l.quantity), sum(l.subtotal) FROM order_lines l JOIN products p"
        " ON p.id = l.product_id GROUP BY 1 ORDER BY 3 DESC LIMIT 1",
    ) == [("The Original Mr. Fuzzy", 24_226, Decimal("1211057.7400"))]
    assert query(
        database,
        tenant_id,
        "SELECT extract(year FROM placed_at)::int, sum(subtotal) FROM orders GROUP BY 1 ORDER BY 1",
    ) == [
        (2012, Decimal("129274.1400")),
        (2013, Decimal("393247.8700")),
        (2014, Decimal("1075612.1900")),
        (2015, Decimal("340375.5500")),
    ]


def test_its_profit_is_told_to_the_cent(toy_store: Shop) -> None:
    asked = {"from": "2012-01-01", "to": "2016-01-01"}
    metrics = toy_store.api.get("/api/v1/analytics/revenue", query=asked).json["metrics"]
    expected = {
        "gross_sales": "1938509.75",
        "returns": "85338.69",
        "net_sales": "1853171.06",
        "cost_of_goods": "722370.25",
        "gross_profit": "1130800.81",
    }
    assert {name: str(metrics[name]) for name in expected} == expected
    assert metrics["cost_coverage"] == 1


def test_a_second_import_changes_nothing(database: Database, toy_store: Shop) -> None:
    before = fingerprint(database, toy_store.tenant_id)
    import_folder(database, toy_store.tenant_id, FOLDER, load_preset(PRESET))
    assert fingerprint(database, toy_store.tenant_id) == before
