"""Housekeeping changes how rows lie, never the rows."""

import os
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlalchemy import select

from analytics.contracts import DIM_PRODUCTS
from analytics.lake import Lake
from pipelines.changeset import begin
from pipelines.compaction import run_compact
from pipelines.context import LakeContext
from pipelines.runner import run_export, write
from pipelines.sinks.publication import newest, writer_lock
from pipelines.verification import run_verify
from shop_api.models import lake_partitions
from tests.factories.sales import add_product, cancel, change_order, day, pay, place, selling
from tests.fixtures.lake import everything, new_lake, now, open_lake, published
from tests.fixtures.stores import Database

pytestmark = pytest.mark.usefixtures("no_tenants")


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> LakeContext:
    """An empty lake."""
    return new_lake(database, tmp_path / "lake")


def sell_through_a_year(database: Database, tenant_id: UUID) -> list[UUID]:
    with selling(database, tenant_id) as work:
        orders = [place(work, n, datetime(2025, n, 3, tzinfo=UTC)) for n in range(1, 13)]
        for order in orders:
            pay(work, order, Decimal(1))
    return orders


def test_a_tenant_that_has_grown_is_cut_into_months(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    orders = sell_through_a_year(database, tenant_id)
    run_export(lake, now())
    before, rows = published(lake), everything(lake)
    grown = open_lake(database, Path(lake.location), month_rows=11)
    assert run_compact(grown, now()).state == "published"
    after = published(grown)
    assert (after.as_of, after.id) == (before.as_of, before.id + 1)
    for table, same in everything(grown).items():
        assert_frame_equal(rows[table], same)
    reader = Lake(lake.location)
    march = reader.files("orders", after, str(tenant_id), day(-290), day(-289))
    assert [path.split("period=")[1][:7] for path in march] == ["2025-03"]
    with database.exporter_engine.connect() as connection:
        columns = lake_partitions.c
        query = select(columns.grain).where(columns.tenant_id == tenant_id)
        grain = connection.execute(query).scalar()
    assert grain == "month"
    # readers of the snapshot before still find its files
    assert_frame_equal(everything(lake, before)["orders"], rows["orders"])

    with selling(database, tenant_id) as work:
        cancel(work, orders[4], day(1))
        place(work, 100, day(2))
    run_export(grown, now())
    assert run_verify(grown, now()).differences == []
    paths = reader.files("orders", published(grown), str(tenant_id))
    assert all(len(path.split("period=")[1].split("/")[0]) == 7 for path in paths)


def test_small_files_become_one(database: Database, tenant_id: UUID, lake: LakeContext) -> None:
    run_export(lake, now())
    with selling(database, tenant_id) as work:
        add_product(work, "First")
    run_export(lake, now())
    rewrite_apart(lake, tenant_id)
    rows = everything(lake)
    reader = Lake(lake.location)
    assert len(reader.files("dim_products", published(lake), str(tenant_id))) == 2
    run_compact(lake, now())
    assert len(reader.files("dim_products", published(lake), str(tenant_id))) == 1
    for table, same in everything(lake).items():
        assert_frame_equal(rows[table], same)


def rewrite_apart(lake: LakeContext, tenant_id: UUID) -> None:
    """Put one more product into the lake in a file of its own, as an older writer may have."""
    with writer_lock(lake.engine) as held:
        current = newest(held)
        assert current is not None
        changeset = begin(lake, current.versions, now())
        rewrite = changeset.of(DIM_PRODUCTS)
        row = rewrite.read(rewrite.files(str(tenant_id)))
        rewrite.add(str(tenant_id), "all", row.with_columns(pl.lit("2").alias("product_id")))
        write(lake, held, "test", current.position, now(), lambda: changeset)


def test_files_nobody_can_read_any_more_are_deleted(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    sell_through_a_year(database, tenant_id)
    run_export(lake, now())
    folder = Path(lake.location) / "orders" / f"tenant_id={tenant_id}" / "period=2025"
    recent, orphan = folder / "recent.parquet", folder / "orphan.parquet"
    for path in (recent, orphan):
        path.write_bytes(b"left by a run that died")
    old = time.time() - (lake.retention_hours + 1) * 3600
    os.utime(orphan, (old, old))
    rows = everything(lake)
    run_compact(lake, now())
    assert recent.exists()
    assert not orphan.exists()
    for table, same in everything(lake).items():
        assert_frame_equal(rows[table], same)
    assert run_verify(lake, now()).differences == []


@pytest.mark.parametrize("is_thorough", [False, True])
def test_replaced_files_stay_for_readers_of_the_last_hour(
    database: Database, tenant_id: UUID, lake: LakeContext, is_thorough: bool
) -> None:
    [first, *_] = sell_through_a_year(database, tenant_id)
    long_ago = now() - timedelta(hours=3)
    run_export(lake, long_ago)
    oldest = paths(lake)
    with selling(database, tenant_id) as work:
        cancel(work, first, day(1))
    run_export(lake, long_ago)
    old = paths(lake)
    with selling(database, tenant_id) as work:
        change_order(work, first, note="again")
    run_export(lake, now())
    run_compact(lake, now(), is_thorough=is_thorough)
    assert not any(path.exists() for path in oldest - old)
    assert all(path.exists() for path in old)
    assert all(path.exists() for path in paths(lake))
    assert run_verify(lake, now()).differences == []


def paths(lake: LakeContext) -> set[Path]:
    """The files of the orders that readers see."""
    reader, snapshot = Lake(lake.location), published(lake)
    tenants = reader.tenant_ids("orders", snapshot)
    return {Path(p) for t in tenants for p in reader.files("orders", snapshot, t)}


def test_a_tidy_lake_is_left_as_it_is(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    sell_through_a_year(database, tenant_id)
    run_export(lake, now())
    before = published(lake)
    assert run_compact(lake, now()).state == "idle"
    assert published(lake) == before
