"""Verification finds what differs, and the commands say it."""

from decimal import Decimal
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest
from click.testing import CliRunner

from analytics.contracts import CONTRACTS
from analytics.lake import Lake
from pipelines.cli import lake as commands
from pipelines.context import LakeContext
from pipelines.frames import POLARS_TYPES
from pipelines.runner import run_export
from pipelines.verification import run_verify
from tests.factories.rows import make_tenant
from tests.factories.sales import (
    add_customer,
    add_exchange_rate,
    add_product,
    cancel,
    change_order,
    day,
    pay,
    place,
    refund,
    selling,
)
from tests.factories.stock import add_variant, fulfill, move
from tests.fixtures.lake import invoke, new_lake, now, published
from tests.fixtures.stores import Database

pytestmark = pytest.mark.usefixtures("no_tenants")

# One figure of each table that is changed behind the lake's back, and the measure it shows in.
TAMPERED = {
    "orders": ("shipping", "shipping"),
    "order_lines": ("gross_sales", "gross_sales"),
    "payments": ("amount", "amount"),
    "refunds": ("goods_amount", "goods_amount"),
    "fulfillments": ("quantity", "quantity"),
    "discounts": ("amount", "amount"),
    "taxes": ("amount", "amount"),
    "daily_sales": ("returns", "returns"),
    "inventory_movements": ("quantity_delta", "quantity"),
    "stock_levels": ("reserved", "reserved"),
    "dim_products": ("price", "price"),
    "dim_variants": ("cost", "cost"),
    "dim_customers": ("orders", "orders"),
    "exchange_rates": ("rate", "rates"),
}


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> LakeContext:
    """An empty lake."""
    return new_lake(database, tmp_path / "lake")


def sell(database: Database, tenant_id: UUID) -> list[UUID]:
    with selling(database, tenant_id) as work:
        product, buyer = add_product(work, "Thing"), add_customer(work)
        move(work, add_variant(work, product, cost_price=Decimal(3)), 5, 1)
        orders = [
            place(work, n, day(20 * n), product_id=product, customer_id=buyer) for n in range(4)
        ]
        pay(work, orders[0], Decimal(5))
        refund(work, orders[1], day(60), Decimal(1), tax=Decimal("0.1"))
        cancel(work, orders[2], day(50))
        fulfill(work, orders[0], 1, day(1))
        add_exchange_rate(work, "EUR", Decimal("1.0812"), day(0))
    return orders


def test_all_tables_are_compared_but_what_no_event_tells_of() -> None:
    assert CONTRACTS.keys() - TAMPERED.keys() == {"api_usage", "traffic_events"}


@pytest.mark.parametrize("table", TAMPERED)
def test_a_figure_changed_in_the_lake_is_found(
    database: Database, tenant_id: UUID, lake: LakeContext, table: str
) -> None:
    sell(database, tenant_id)
    run_export(lake, now())
    assert run_verify(lake, now()).differences == []
    column, measure = TAMPERED[table]
    kind = POLARS_TYPES[CONTRACTS[table].column(column).type]
    [path] = Lake(lake.location).files(table, published(lake), str(tenant_id))
    rows = pl.read_parquet(path, hive_partitioning=False)
    changed = rows.with_columns((pl.col(column) + 1).cast(kind))
    changed.write_parquet(path)
    differences = run_verify(lake, now()).differences
    assert {(d.table, d.tenant_id, d.measure) for d in differences} >= {
        (table, str(tenant_id), measure)
    }
    assert {d.tenant_id for d in differences} == {str(tenant_id)}


def test_a_change_without_an_event_is_found(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    orders = sell(database, tenant_id)
    run_export(lake, now())
    with selling(database, tenant_id) as work:
        change_order(work, orders[0], shipping_total=Decimal(9), total=Decimal("29.75"))
        work.events.clear()
    differences = run_verify(lake, now()).differences
    assert {(d.table, d.period, d.measure, d.postgres, d.lake) for d in differences} == {
        ("orders", "2026-01", "shipping", "13.0000", "8.0000"),
        ("orders", "2026-01", "total", "54.5000", "49.5000"),
        ("daily_sales", "2026-01-01 event_date USD web", "shipping", "9.0000", "4.0000"),
        ("daily_sales", "2026-01-01 order_date USD web", "shipping", "9.0000", "4.0000"),
    }


def test_rows_missing_on_one_side_are_found(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    run_export(lake, now())
    with selling(database, tenant_id) as work:
        pay(work, place(work, 1, day(0)), Decimal(1))
        work.events.clear()
    found = {(d.table, d.measure, d.postgres, d.lake) for d in run_verify(lake, now()).differences}
    assert {("orders", "rows", "1", None), ("payments", "amount", "1.0000", None)} <= found


def test_a_shop_that_is_selling_is_compared_at_one_instant(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    sell(database, tenant_id)

    def go_on_selling(_: str) -> None:
        sell(database, make_tenant(database))

    verified = run_verify(lake, now(), go_on_selling)
    assert verified.differences == []
    assert verified.figures > 0


def test_the_commands_run_verify_rebuild_and_compact(
    database: Database,
    tenant_id: UUID,
    lake: LakeContext,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # a run takes in what storefronts told
    monkeypatch.setenv("REDIS_URL", redis_url)
    orders = sell(database, tenant_id)
    ran = invoke(database, lake, "run")
    assert ran.exit_code == 0, ran.output
    assert "published" in ran.output
    assert "nothing changed" in invoke(database, lake, "run").output
    verified = invoke(database, lake, "verify")
    assert (verified.exit_code, "agree" in verified.output) == (0, True)
    assert "tidy" in invoke(database, lake, "compact").output
    rebuilt = invoke(database, lake, "rebuild")
    assert rebuilt.exit_code == 0
    assert "order_lines" in rebuilt.output

    with selling(database, tenant_id) as work:
        change_order(work, orders[0], shipping_total=Decimal(9), total=Decimal("29.75"))
        work.events.clear()
    wrong = invoke(database, lake, "verify")
    assert wrong.exit_code == 1
    assert "4 figures differ" in wrong.output


def test_a_command_says_which_setting_is_missing(lake: LakeContext, database: Database) -> None:
    environment = {
        "DATABASE_URL": database.application_url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "SHOP_DATA_DIR": lake.location,
        "SHOP_EXPORTER_DATABASE_URL": None,
    }
    refused = CliRunner().invoke(commands, ["run"], env=environment)
    assert refused.exit_code == 1
    assert "SHOP_EXPORTER_DATABASE_URL" in refused.output
