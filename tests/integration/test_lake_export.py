"""The export: what changed in Postgres, and nothing else, is in the next snapshot."""

import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast
from uuid import UUID

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlalchemy import Engine, QueuePool, delete, update

from analytics.lake import Lake
from pipelines.context import LakeContext
from pipelines.runner import run_export, run_rebuild
from pipelines.sinks.publication import try_writer_lock
from pipelines.usage import run_usage
from pipelines.verification import run_verify
from shop_api import models
from shop_api.metrics.usage import Usage, UsageCounts
from shop_api.spine.usage import UsageWriter
from tests.factories.rows import insert_order, make_tenant
from tests.factories.sales import (
    add_category,
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
    set_categories,
)
from tests.factories.stock import add_variant, fulfill, move
from tests.factories.traffic import put_into_lake
from tests.fixtures.lake import everything, new_lake, now, published, rows
from tests.fixtures.stores import Database

pytestmark = pytest.mark.usefixtures("no_tenants")


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> LakeContext:
    """An empty lake."""
    return new_lake(database, tmp_path / "lake")


def assert_equals_rebuild(context: LakeContext) -> None:
    """The published rows are those a rebuild makes, and those of Postgres."""
    assert run_verify(context, now()).differences == []
    before = everything(context)
    run_rebuild(context, now())
    for table, after in everything(context).items():
        assert_frame_equal(before[table], after)


def test_the_first_export_holds_every_row(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    with selling(database, tenant_id) as work:
        shelf = add_category(work, "Books")
        novel = add_product(work, "Novel", shelf, sku="N-1")
        buyer = add_customer(work, address={"country": "BR", "region": "SP"}, email="a@b.c")
        order = place(
            work,
            7,
            day(0),
            product_id=novel,
            customer_id=buyer,
            shipping_address={"country": "BR", "region": "RJ"},
        )
        pay(work, order, Decimal("24.75"))
    assert run_export(lake, now()).state == "published"

    of_tenant = pl.col("tenant_id") == str(tenant_id)
    [exported] = rows(lake, "orders").filter(of_tenant).to_dicts()
    assert exported == {
        "tenant_id": str(tenant_id),
        "order_id": str(order),
        "number": 7,
        "customer_id": str(buyer),
        "status": "pending",
        "payment_status": "unpaid",
        "fulfillment_status": "unfulfilled",
        "channel": "web",
        "currency": "USD",
        "base_currency": "USD",
        "exchange_rate": Decimal(1),
        "placed_at": day(0),
        "completed_at": None,
        "cancelled_at": None,
        "gross_sales": Decimal("20.0000"),
        "discounts": Decimal("0.5000"),
        "shipping": Decimal("4.0000"),
        "taxes": Decimal("1.2500"),
        "total": Decimal("24.7500"),
        "refunded_total": Decimal(0),
        "cost_of_goods": Decimal(0),
        "costed_sales": Decimal(0),
        "units": 2,
        "country": "BR",
        "region": "RJ",
    }
    [line] = rows(lake, "order_lines").filter(of_tenant).to_dicts()
    assert (line["category_id"], line["product_id"]) == (str(shelf), str(novel))
    [paid] = rows(lake, "payments").filter(of_tenant).to_dicts()
    assert (paid["amount"], paid["method"], paid["placed_at"]) == (
        Decimal("24.75"),
        "cash",
        day(0),
    )
    [product] = rows(lake, "dim_products").filter(of_tenant).to_dicts()
    assert (product["category_name"], product["categories"]) == ("Books", ["Books"])
    [customer] = rows(lake, "dim_customers").filter(of_tenant).to_dicts()
    assert (customer["orders"], customer["first_order_at"]) == (1, day(0))
    assert set(customer) & {"email", "first_name", "phone"} == set()
    assert_equals_rebuild(lake)


def test_changes_of_all_kinds_equal_a_rebuild(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    with selling(database, tenant_id) as work:
        buyer = add_customer(work)
        orders = [
            place(work, n, day(-200 + 40 * n), price=f"{n}.10", customer_id=buyer)
            for n in range(1, 10)
        ]
    run_export(lake, now())
    with selling(database, tenant_id) as work:
        cancel(work, orders[0], day(-10))
        refund(work, orders[1], day(30), Decimal(1), tax=Decimal("0.10"), shipping=Decimal(2))
        refund(work, orders[2], day(31), Decimal(0), other=Decimal("0.75"))
        change_order(work, orders[3], status="completed", completed_at=day(3))
        place(work, 10, day(-400), customer_id=buyer)
        add_customer(work)
    outcome = run_export(lake, now())
    assert outcome.state == "published"
    assert tenant_id in outcome.tenant_ids
    assert_equals_rebuild(lake)


def test_nothing_to_do_writes_nothing(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    run_export(lake, now())
    before = published(lake)
    assert run_export(lake, now()).state == "idle"
    assert published(lake) == before


def test_events_the_lake_is_not_made_of_move_the_instant_only(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    run_export(lake, now())
    before = published(lake)
    with selling(database, tenant_id) as work:
        work.append("inventory_updated", "inventory", tenant_id, {})
    assert run_export(lake, now()).state == "idle"
    after = published(lake)
    assert (after.id, after.versions) == (before.id, before.versions)
    assert after.as_of > before.as_of


def test_a_transaction_that_commits_late_is_not_lost(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    run_export(lake, now())
    with selling(database, tenant_id) as late:
        # its transaction has begun, and has an id, before the one that commits first
        place(late, 1, day(0))
        other = make_tenant(database)
        with selling(database, other) as work:
            place(work, 1, day(0))
        assert run_export(lake, now()).state == "published"
        seen = rows(lake, "orders")["tenant_id"].to_list()
        assert str(other) in seen
        assert str(tenant_id) not in seen
        # while it is open, what was seen is not handled again
        assert run_export(lake, now()).state == "idle"
    assert run_export(lake, now()).tenant_ids == {tenant_id}
    assert str(tenant_id) in rows(lake, "orders")["tenant_id"].to_list()
    assert_equals_rebuild(lake)


def test_a_product_that_moves_takes_its_lines_along(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    with selling(database, tenant_id) as work:
        root = add_category(work, "Media")
        books, music = add_category(work, "Books", root), add_category(work, "Music", root)
        product = add_product(work, "Songbook", books, music)
        place(work, 1, day(0), product_id=product)
    run_export(lake, now())
    own = pl.col("tenant_id") == str(tenant_id)
    assert rows(lake, "order_lines").filter(own)["category_id"].to_list() == [str(books)]
    with selling(database, tenant_id) as work:
        set_categories(work, product, music)
        work.append("product_updated", "product", product, {})
    run_export(lake, now())
    assert rows(lake, "order_lines").filter(own)["category_id"].to_list() == [str(music)]
    with selling(database, tenant_id) as work:
        set_categories(work, product, music, books)
        work.append("product_updated", "product", product, {})
        work.session.execute(
            update(models.categories).where(models.categories.c.id == music).values(name="Art")
        )
        work.append("category_updated", "category", music, {})
    run_export(lake, now())
    [dimension] = rows(lake, "dim_products").filter(own).to_dicts()
    assert dimension["categories"] == ["Art", "Books"]
    assert_equals_rebuild(lake)


def test_a_batch_names_its_rows_in_its_data(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    run_export(lake, now())
    with selling(database, tenant_id) as work:
        ids = [place(work, n, day(n)) for n in range(1, 4)]
        work.events.clear()
        work.append("orders_imported", "order", None, {"ids": [str(i) for i in ids[:2]]})
        work.append("orders_imported", "order", None, {"ids": []})
    run_export(lake, now())
    own = rows(lake, "orders").filter(pl.col("tenant_id") == str(tenant_id))
    assert set(own["order_id"]) == {str(i) for i in ids[:2]}


def test_a_batch_without_ids_means_all_of_the_tenant(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    run_export(lake, now())
    with selling(database, tenant_id) as work:
        place(work, 1, day(1))
        work.events.clear()
        work.append("orders_imported", "order", None, {})
    run_export(lake, now())
    assert rows(lake, "orders").filter(pl.col("tenant_id") == str(tenant_id)).height == 1


def test_a_moved_or_deleted_order_leaves_its_old_period(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    with selling(database, tenant_id) as work:
        moved, gone = place(work, 1, day(-400)), place(work, 2, day(-400))
    run_export(lake, now())
    with selling(database, tenant_id) as work:
        change_order(work, moved, placed_at=day(10))
        work.session.execute(delete(models.orders).where(models.orders.c.id == gone))
        work.append("order_deleted", "order", gone, {})
    run_export(lake, now())
    own = rows(lake, "orders").filter(pl.col("tenant_id") == str(tenant_id))
    assert own.select("order_id", "placed_at").rows() == [(str(moved), day(10))]
    assert_equals_rebuild(lake)


def test_another_timezone_rolls_the_days_up_anew(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    with selling(database, tenant_id) as work:
        place(work, 1, day(5, hour=1))
    run_export(lake, now())
    own = (pl.col("tenant_id") == str(tenant_id)) & (pl.col("basis") == "order_date")
    assert rows(lake, "daily_sales").filter(own)["day"].to_list() == [date(2026, 1, 6)]
    with selling(database, tenant_id) as work:
        work.session.execute(update(models.tenants).values(timezone="America/Sao_Paulo"))
        work.append("tenant_updated", "tenant", tenant_id, {})
    run_export(lake, now())
    [row] = rows(lake, "daily_sales").filter(own).to_dicts()
    assert (row["day"], row["timezone"]) == (date(2026, 1, 5), "America/Sao_Paulo")
    assert_equals_rebuild(lake)


def test_a_tenant_has_its_own_files(database: Database, lake: LakeContext, redis_url: str) -> None:
    tenants = [make_tenant(database) for _ in range(3)]
    for tenant_id in tenants:
        with selling(database, tenant_id) as work:
            product, customer = add_product(work, "Thing"), add_customer(work)
            order = place(work, 1, day(0), product_id=product, customer_id=customer)
            pay(work, order, Decimal(1))
            refund(work, order, day(1), Decimal(1))
            fulfill(work, order, 1, day(1))
            move(work, add_variant(work, product), 5)
            add_exchange_rate(work, "EUR", Decimal("1.0812"), day(0))
        counts = UsageCounts()
        counts.add(now(), (tenant_id.int, "GET", "/", "2xx"), Usage(1))
        assert UsageWriter(database.engine, counts, 60).write()
    run_export(lake, now())
    run_usage(lake, now())
    put_into_lake(lake, redis_url, *tenants)
    snapshot = published(lake)
    reader = Lake(lake.location)
    for table in snapshot.versions:
        files = {t: set(reader.files(table, snapshot, str(t))) for t in tenants}
        for tenant_id, own in files.items():
            assert own
            assert all(f"tenant_id={tenant_id}/" in path for path in own)
        assert not files[tenants[0]] & files[tenants[1]]
        assert reader.files(table, snapshot, "' OR true") == []


def test_files_are_chosen_by_period(database: Database, tenant_id: UUID, lake: LakeContext) -> None:
    with selling(database, tenant_id) as work:
        for number, year in enumerate((2023, 2024, 2025)):
            place(work, number, datetime(year, 6, 1, tzinfo=UTC))
    run_export(lake, now())
    reader, snapshot = Lake(lake.location), published(lake)

    def years(start: date | None, end: date | None) -> list[str]:
        paths = reader.files("orders", snapshot, str(tenant_id), start, end)
        return sorted(path.split("period=")[1][:4] for path in paths)

    assert years(None, None) == ["2023", "2024", "2025"]
    assert years(date(2024, 2, 1), date(2024, 3, 1)) == ["2024"]
    assert years(datetime(2024, 2, 1, tzinfo=UTC), None) == ["2024", "2025"]
    assert years(None, date(2023, 12, 31)) == ["2023", "2024"]


def test_a_row_that_breaks_a_rule_is_not_published_and_is_on_record(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    run_export(lake, now())
    before = published(lake)
    with selling(database, tenant_id) as work:
        line = {"unit_price": Decimal(5), "quantity": 1}
        order = insert_order(work, number=1, placed_at=day(0), lines=[line])
        change_order(work, order, subtotal=Decimal(6), total=Decimal(6))
    refused_at = now()
    assert run_export(lake, refused_at).state == "idle"
    assert published(lake).versions == before.versions
    with database.exporter_engine.connect() as connection:
        runs = models.pipeline_runs
        last = connection.execute(runs.select().order_by(runs.c.id.desc())).first()
    assert last is not None
    assert (last.state, last.counts["refused_tenants"]) == ("succeeded", 1)
    assert "sums of the lines" in last.error
    # the log has the rows: every tenant's session may read the record
    assert str(order) not in last.error
    with selling(database, tenant_id) as work:
        change_order(work, order, subtotal=Decimal(5), total=Decimal(5))
    assert run_export(lake, refused_at + timedelta(seconds=31)).state == "published"
    assert_equals_rebuild(lake)


def test_hooks_hear_which_tenants_a_snapshot_changed(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    run_export(lake, now())
    heard: list[frozenset[UUID]] = []

    def fail(_: frozenset[UUID], __: datetime) -> None:
        raise RuntimeError("a hook that fails")

    lake.after_publish.extend([fail, lambda tenant_ids, _: heard.append(tenant_ids)])
    with selling(database, tenant_id) as work:
        place(work, 1, day(0))
    run_export(lake, now())
    run_export(lake, now())
    assert heard == [frozenset({tenant_id})]


def is_lock_free(engine: Engine) -> bool:
    """Whether the writer lock can be had: Postgres lets go of it when it sees the session gone."""
    for _ in range(100):
        with try_writer_lock(engine) as held:
            if held is not None:
                return True
        time.sleep(0.02)
    return False


def test_hooks_are_told_when_lock_and_transactions_have_ended(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    found: list[tuple[int, bool]] = []

    def look(_: frozenset[UUID], __: datetime) -> None:
        connections = cast("QueuePool", lake.engine.pool).checkedout()
        found.append((connections, is_lock_free(lake.engine)))

    def export() -> None:
        run_export(lake, now())

    def rebuild() -> None:
        run_rebuild(lake, now())

    def verify() -> None:
        run_verify(lake, now())

    lake.after_publish.append(look)
    for number, run in enumerate((export, rebuild, verify)):
        with selling(database, tenant_id) as work:
            place(work, number + 1, day(0))
        run()
    assert found == [(0, True)] * 3
