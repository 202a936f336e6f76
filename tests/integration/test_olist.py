"""The public Olist export, whole, through the system: imported, exported, asked over HTTP, and
imported again to no effect.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pipelines.runner import run_export
from shop_api.app import create_app
from shop_api.bulk.importer import Summary
from shop_api.bulk.mapping import load_preset
from tests.factories.imports import fingerprint, import_folder, query
from tests.fixtures.api import AnswerChecker, ApiClient, Shop, open_shop
from tests.fixtures.lake import new_lake
from tests.fixtures.stores import Database

FOLDER = Path("../shared/data/olist")
DASHBOARD = "/api/v1/analytics/dashboard"
REVENUE = "/api/v1/analytics/revenue"
D = Decimal

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the data folder is not here")


@dataclass(frozen=True)
class Olist:
    """A Brazilian shop with every order of the export, in the lake."""

    shop: Shop
    imported: Summary

    @property
    def tenant_id(self) -> UUID:
        return self.shop.tenant_id


@pytest.fixture(scope="module")
def olist(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Olist]:
    """Imported once: it takes most of a minute."""
    lake = new_lake(database, tmp_path_factory.mktemp("lake"))
    settings = database.settings(tmp_path_factory.mktemp("data"), redis_url, lake_url=lake.location)
    app = create_app(settings)
    shop = open_shop(ApiClient(app, AnswerChecker(app)), "BRL", "America/Sao_Paulo")
    imported = import_folder(database, shop.tenant_id, FOLDER, load_preset("olist"))
    run_export(lake, datetime.now(UTC))
    yield Olist(shop, imported)
    app.close()


def test_its_orders_add_up(database: Database, olist: Olist) -> None:
    tenant_id = olist.tenant_id
    assert olist.imported.rejects.total == 0
    assert query(
        database, tenant_id, "SELECT count(*), count(cancelled_at), max(number) FROM orders"
    ) == [(99_441, 1_234, 99_441)]
    assert query(
        database,
        tenant_id,
        "SELECT count(*), sum(subtotal), sum(shipping_total) FROM orders"
        " WHERE status <> 'cancelled'",
    ) == [(98_207, Decimal("13494400.7400"), Decimal("2241126.2900"))]
    assert query(
        database,
        tenant_id,
        "SELECT sum(l.quantity) FROM order_lines l JOIN orders o ON o.id = l.order_id"
        " WHERE o.status <> 'cancelled'",
    ) == [(112_101,)]
    assert query(
        database,
        tenant_id,
        "SELECT count(*), count(*) FILTER (WHERE n > 1) FROM (SELECT count(*) AS n FROM orders"
        " WHERE status <> 'cancelled' GROUP BY customer_id) c",
    ) == [(94_990, 2_888)]
    assert query(
        database,
        tenant_id,
        "SELECT y.method, sum(y.amount) FROM payments y JOIN orders o ON o.id = y.order_id"
        " WHERE o.status <> 'cancelled' AND y.status = 'captured' GROUP BY 1 ORDER BY 2 DESC",
    ) == [
        ("credit_card", Decimal("12350042.5600")),
        ("boleto", Decimal("2826802.3000")),
        ("voucher", Decimal("349874.4000")),
        ("debit_card", Decimal("212417.7500")),
    ]
    assert query(
        database,
        tenant_id,
        "SELECT sum(l.subtotal), sum(l.quantity) FROM order_lines l"
        " JOIN products p ON p.id = l.product_id"
        " WHERE p.external_id = 'bb50f2e236e5eea0100680137654686c'",
    ) == [(Decimal("63885.0000"), 195)]
    assert query(
        database,
        tenant_id,
        "SELECT count(*), sum(subtotal) FROM orders WHERE status <> 'cancelled'"
        " AND (placed_at AT TIME ZONE 'America/Sao_Paulo')::date = '2017-11-24'",
    ) == [(1_166, Decimal("152653.7400"))]


def test_every_order_keeps_its_local_time(database: Database, olist: Olist) -> None:
    """The 13 in hours that occur twice that year included."""
    with (FOLDER / "olist_orders_dataset.csv").open(newline="") as handle:
        written = {
            row["order_id"]: row["order_purchase_timestamp"] for row in csv.DictReader(handle)
        }
    local = dict(
        query(
            database,
            olist.tenant_id,
            "SELECT external_id, to_char(placed_at AT TIME ZONE 'America/Sao_Paulo',"
            " 'YYYY-MM-DD HH24:MI:SS') FROM orders",
        )
    )
    assert local == written
    twice = [key for key, at in local.items() if at[:13] in ("2017-02-18 23", "2018-02-17 23")]
    assert len(twice) == 13


def test_what_its_rows_lack_is_left_out(database: Database, olist: Olist) -> None:
    tenant_id = olist.tenant_id
    assert query(
        database,
        tenant_id,
        "SELECT count(*) FROM orders o"
        " WHERE NOT EXISTS (SELECT FROM order_lines l WHERE l.order_id = o.id) AND total = 0",
    ) == [(775,)]
    assert query(
        database,
        tenant_id,
        "SELECT count(*) FROM products p"
        " WHERE NOT EXISTS (SELECT FROM product_categories c WHERE c.product_id = p.id)",
    ) == [(610,)]
    assert query(
        database,
        tenant_id,
        "SELECT count(*), sum(amount) FROM payments WHERE method = 'not_defined'",
    ) == [(3, Decimal(0))]
    assert query(
        database,
        tenant_id,
        "SELECT count(*), min(payment_status) FROM orders o"
        " WHERE NOT EXISTS (SELECT FROM payments p WHERE p.order_id = o.id)",
    ) == [(1, "unpaid")]
    # no translation: the name stays as it is
    assert query(
        database,
        tenant_id,
        "SELECT name FROM categories WHERE external_id IN ('pc_gamer', 'beleza_saude') ORDER BY 1",
    ) == [("health_beauty",), ("pc_gamer",)]


def ask(olist: Olist, path: str, **query: str) -> Any:
    answered = olist.shop.api.get(path, query={"basis": "order_date", **query})
    assert answered.status == 200, answered.body
    return answered.json


def test_the_dashboard_shows_all_of_it(olist: Olist) -> None:
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


def test_november_and_its_black_friday(olist: Olist) -> None:
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
def test_days_when_clocks_move(olist: Olist, day: str) -> None:
    """Hours that occur twice, and a midnight that does not exist, keep their local day."""
    following = f"{day[:8]}{int(day[8:]) + 1}"
    answer = ask(olist, REVENUE, **{"from": day, "to": following, "interval": "hour"})
    assert len(answer["series"]) == (23 if day == "2017-10-15" else 25)
    in_hours = sum(point["gross_sales"] for point in answer["series"])
    assert in_hours == answer["metrics"]["gross_sales"] > 0


def test_a_second_import_changes_nothing(database: Database, olist: Olist) -> None:
    before = fingerprint(database, olist.tenant_id)
    again = import_folder(database, olist.tenant_id, FOLDER, load_preset("olist"))
    assert fingerprint(database, olist.tenant_id) == before
    assert again.of("orders").unchanged == 99_441
