"""The public Olist export through the whole system: imported, exported, asked over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.runner import run_export
from shop_api.app import create_app
from shop_api.bulk.mapping import load_preset
from tests.factories.imports import import_folder
from tests.fixtures.api import AnswerChecker, ApiClient, Shop, open_shop
from tests.fixtures.lake import new_lake
from tests.fixtures.stores import Database

FOLDER = Path("../shared/data/olist")
DASHBOARD = "/api/v1/analytics/dashboard"
REVENUE = "/api/v1/analytics/revenue"
D = Decimal

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the data folder is not here")


@pytest.fixture(scope="module")
def olist(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """A Brazilian shop with every order of the export, in the lake."""
    lake = new_lake(database, tmp_path_factory.mktemp("lake"))
    settings = database.settings(tmp_path_factory.mktemp("data"), redis_url, lake_url=lake.location)
    app = create_app(settings)
    shop = open_shop(ApiClient(app, AnswerChecker(app)), "BRL", "America/Sao_Paulo")
    import_folder(database, shop.tenant_id, FOLDER, load_preset("olist"))
    run_export(lake, datetime.now(UTC))
    yield shop
    app.close()


def ask(shop: Shop, path: str, **query: str) -> Any:
    answered = shop.api.get(path, query={"basis": "order_date", **query})
    assert answered.status == 200, answered.body
    return answered.json


def test_everything(olist: Shop) -> None:
    answer = ask(olist, DASHBOARD, period="all")
    orders, revenue = answer["orders"], answer["revenue"]
    assert (orders["total"], orders["cancelled"]) == (99_441, 1_234)
    assert revenue["gross_sales"] == D("13494400.74")
    assert revenue["shipping"] == D("2241126.29")
    assert revenue["units"] == 112_101
    assert {p["method"]: p["amount"] for p in revenue["by_payment_method"] if p["amount"]} == {
        "credit_card": D("12350042.56"),
        "boleto": D("2826802.30"),
        "voucher": D("349874.40"),
        "debit_card": D("212417.75"),
    }
    top_category, top_product = revenue["by_category"][0], revenue["top_products"][0]
    assert (top_category["name"], top_category["gross_sales"]) == (
        "health_beauty",
        D("1255695.13"),
    )
    assert (top_product["gross_sales"], top_product["units"]) == (D("63885.00"), 195)
    assert sum(c["gross_sales"] for c in revenue["by_category"]) == revenue["gross_sales"]
    customers = answer["customers"]
    assert (customers["total"], customers["returning"]) == (94_990, 2_888)
    assert customers["returning_customer_rate"] == D("0.0304")


def test_november_and_its_black_friday(olist: Shop) -> None:
    november = ask(olist, REVENUE, **{"from": "2017-11-01", "to": "2017-12-01"})
    assert november["metrics"]["gross_sales"] == D("1003862.14")
    by_day = {point["date"]: point for point in november["series"]}
    assert len(by_day) == 30
    friday = by_day["2017-11-24"]
    assert (friday["orders"], friday["gross_sales"]) == (1_166, D("152653.74"))
    of_friday = {"from": "2017-11-24", "to": "2017-11-25"}
    assert ask(olist, REVENUE, **of_friday)["metrics"]["gross_sales"] == D("152653.74")
    by_month = ask(olist, REVENUE, period="all", interval="month")["series"]
    assert {p["date"]: p["gross_sales"] for p in by_month}["2017-11-01"] == D("1003862.14")


@pytest.mark.parametrize("day", ["2017-02-18", "2018-02-17", "2017-10-15"])
def test_days_when_clocks_move(olist: Shop, day: str) -> None:
    """Hours that occur twice, and a midnight that does not exist, keep their local day."""
    following = f"{day[:8]}{int(day[8:]) + 1}"
    answer = ask(olist, REVENUE, **{"from": day, "to": following, "interval": "hour"})
    assert len(answer["series"]) == (23 if day == "2017-10-15" else 25)
    in_hours = sum(point["gross_sales"] for point in answer["series"])
    assert in_hours == answer["metrics"]["gross_sales"] > 0
