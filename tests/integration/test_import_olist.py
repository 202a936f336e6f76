"""The public Olist export, whole: the figures its rows add up to, and no second effect."""

import csv
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from shop_api.bulk.mapping import load_preset
from tests.factories.imports import fingerprint, import_folder, query
from tests.factories.rows import make_tenant
from tests.fixtures.stores import Database

FOLDER = Path("../shared/data/olist")

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the data folder is not here")


def test_olist_adds_up_and_a_second_import_changes_nothing(database: Database) -> None:
    tenant_id = make_tenant(database, "BRL", "America/Sao_Paulo")
    mapping = load_preset("olist")

    summary = import_folder(database, tenant_id, FOLDER, mapping)

    assert summary.rejects.total == 0
    _check_orders(database, tenant_id)
    _check_traps(database, tenant_id)
    _check_local_times(database, tenant_id)
    before = fingerprint(database, tenant_id)
    again = import_folder(database, tenant_id, FOLDER, mapping)
    assert fingerprint(database, tenant_id) == before
    assert again.of("orders").unchanged == 99_441


def _check_orders(database: Database, tenant_id: UUID) -> None:
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


def _check_local_times(database: Database, tenant_id: UUID) -> None:
    """Every order keeps its local time, the 13 in hours that occur twice that year included."""
    with (FOLDER / "olist_orders_dataset.csv").open(newline="") as handle:
        written = {
            row["order_id"]: row["order_purchase_timestamp"] for row in csv.DictReader(handle)
        }
    local = dict(
        query(
            database,
            tenant_id,
            "SELECT external_id, to_char(placed_at AT TIME ZONE 'America/Sao_Paulo',"
            " 'YYYY-MM-DD HH24:MI:SS') FROM orders",
        )
    )
    assert local == written
    twice = [key for key, at in local.items() if at[:13] in ("2017-02-18 23", "2018-02-17 23")]
    assert len(twice) == 13


def _check_traps(database: Database, tenant_id: UUID) -> None:
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
