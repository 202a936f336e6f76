"""Data at the edge of what Postgres takes, on its way into the lake."""

from decimal import Decimal
from pathlib import Path
from uuid import UUID

import polars as pl

from pipelines.frames import INTEGER, TEXT
from pipelines.runner import run_export, run_rebuild
from pipelines.sources.reader import one_instant
from pipelines.verification import run_verify
from shop_api import models
from tests.factories.sales import add_category, add_product, day, place, selling, set_categories
from tests.fixtures.lake import new_lake, now, rows
from tests.fixtures.stores import Database


def test_a_day_may_add_up_to_more_than_one_amount_can_be(
    database: Database, tenant_id: UUID, tmp_path: Path
) -> None:
    lake = new_lake(database, tmp_path / "lake")
    run_export(lake, now())
    with selling(database, tenant_id) as work:
        for number in (1, 2):
            place(work, number, day(0), "45000000000000.00", shipping_total=Decimal(0))
    for run in (run_export, run_rebuild):
        assert run(lake, now()).state == "published"
        days = rows(lake, "daily_sales").filter(
            pl.col("tenant_id") == str(tenant_id), pl.col("basis") == "order_date"
        )
        assert days["gross_sales"].to_list() == [Decimal("180000000000000.0000")]
    assert run_verify(lake, now()).differences == []


def test_an_empty_text_is_not_a_missing_one(
    database: Database, tenant_id: UUID, tmp_path: Path
) -> None:
    with one_instant(database.exporter_engine) as reader:
        found = reader.frame(
            "SELECT 1, ''::text, NULL::text, 'a''\"\n,'::text, NULL::int",
            {"one": INTEGER, "empty": TEXT, "missing": TEXT, "odd": TEXT, "none": INTEGER},
        )
        alone = [reader.frame(f"SELECT {of}::text", {"a": TEXT}).rows() for of in ("''", "NULL")]
    assert found.rows() == [(1, "", None, "a'\"\n,", None)]
    assert alone == [[("",)], [(None,)]]
    lake = new_lake(database, tmp_path / "lake")
    with selling(database, tenant_id) as work:
        add_product(work, "", sku="")
        place(work, 1, day(0), channel="")
    run_export(lake, now())
    products = rows(lake, "dim_products").filter(pl.col("tenant_id") == str(tenant_id))
    assert products.select("name", "sku").rows() == [("", "")]
    assert run_verify(lake, now()).differences == []


def test_products_and_lines_leave_a_deleted_category(
    database: Database, tenant_id: UUID, tmp_path: Path
) -> None:
    lake = new_lake(database, tmp_path / "lake")
    with selling(database, tenant_id) as work:
        shoes = add_category(work, "Shoes")
        product_id = add_product(work, "Boot", shoes)
        place(work, 1, day(0), product_id=product_id)
    run_export(lake, now())
    is_theirs = pl.col("tenant_id") == str(tenant_id)
    assert rows(lake, "order_lines").filter(is_theirs)["category_id"].to_list() == [str(shoes)]
    with selling(database, tenant_id) as work:
        set_categories(work, product_id)
    stale = run_verify(lake, now()).differences
    assert {(one.table, one.measure) for one in stale} == {
        ("dim_products", "categorized"),
        ("dim_products", "categories"),
        ("order_lines", "with_category"),
    }
    with selling(database, tenant_id) as work:
        table = models.categories
        work.session.execute(table.delete().where(table.c.id == shoes))
        work.append("category_deleted", "category", shoes, {})
    run_export(lake, now())
    assert rows(lake, "order_lines").filter(is_theirs)["category_id"].to_list() == [None]
    assert rows(lake, "dim_products").filter(is_theirs)["category_id"].to_list() == [None]
    assert run_verify(lake, now()).differences == []
