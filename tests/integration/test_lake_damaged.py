"""Files of the lake that a disk lost or spoilt: their tenant is made anew, the others go on."""

import logging
import os
import resource
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from analytics.contracts.orders import ORDERS
from analytics.lake import Lake
from pipelines.changeset import begin
from pipelines.compaction import run_compact
from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.verification import run_verify
from tests.factories.rows import make_tenant
from tests.factories.sales import cancel, day, place, selling
from tests.fixtures.lake import new_lake, now, published
from tests.fixtures.stores import Database
from tests.integration.test_lake_isolation import orders_of, quarantined, spoil

pytestmark = pytest.mark.usefixtures("no_tenants")

DAMAGES = ["missing", "cut off", "overwritten"]


def damage(lake: LakeContext, tenant_id: UUID, how: str, table: str = "orders") -> None:
    """Spoil every file of a tenant's table."""
    for name in Lake(lake.location).files(table, published(lake), str(tenant_id)):
        path = Path(name)
        content = path.read_bytes()
        if how == "missing":
            path.unlink()
        else:
            path.write_bytes(content[:100] if how == "cut off" else b"\0" * len(content))


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> LakeContext:
    """An empty lake."""
    return new_lake(database, tmp_path / "lake")


def open_shops(database: Database, count: int) -> list[tuple[UUID, UUID]]:
    """New tenants, each with one order."""
    shops = []
    for _ in range(count):
        tenant_id = make_tenant(database)
        with selling(database, tenant_id) as work:
            shops.append((tenant_id, place(work, 1, day(0))))
    return shops


def sell(database: Database, tenant_id: UUID, number: int) -> None:
    with selling(database, tenant_id) as work:
        place(work, number, day(number))


@pytest.mark.parametrize("how", DAMAGES)
def test_a_tenant_with_a_damaged_file_is_made_anew_by_itself(
    database: Database, lake: LakeContext, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    (good, _), (bad, order_id) = open_shops(database, 2)
    run_export(lake, now())
    damage(lake, bad, how)
    with selling(database, bad) as work:
        cancel(work, order_id, day(1))
    sell(database, good, 2)
    with caplog.at_level(logging.ERROR):
        assert run_export(lake, now()).tenant_ids == {good, bad}
    assert f"making tenant {bad} anew" in caplog.text
    assert f"making tenant {good} anew" not in caplog.text
    assert (orders_of(lake, good), orders_of(lake, bad)) == (2, 1)
    assert quarantined(lake) == {}
    assert run_verify(lake, now()).differences == []


def test_one_run_mends_all_that_lost_files(database: Database, lake: LakeContext) -> None:
    shops = [tenant_id for tenant_id, _ in open_shops(database, 4)]
    run_export(lake, now())
    for tenant_id in shops[:3]:
        damage(lake, tenant_id, "missing", "dim_customers")
        damage(lake, tenant_id, "missing", "daily_sales")
    sell(database, shops[0], 2)
    assert run_export(lake, now()).tenant_ids == set(shops[:3])
    assert run_verify(lake, now()).differences == []


def test_a_damaged_tenant_whose_data_is_refused_does_not_stop_the_others(
    database: Database, lake: LakeContext
) -> None:
    (good, _), (bad, order_id) = open_shops(database, 2)
    start = now()
    run_export(lake, start)
    damage(lake, bad, "missing")
    spoil(database, bad, order_id, 1)
    sell(database, good, 2)
    assert run_export(lake, start).tenant_ids == {good}
    files = Lake(lake.location).files("orders", published(lake), str(good))
    assert sum(pl.read_parquet(file).height for file in files) == 2
    assert quarantined(lake) == {bad: 1}
    spoil(database, bad, order_id, 0)
    run_export(lake, start + timedelta(seconds=40))
    assert quarantined(lake) == {}
    assert run_verify(lake, now()).differences == []


@pytest.mark.parametrize("how", ["missing", "overwritten"])
def test_housekeeping_leaves_a_damaged_tenant_alone_and_has_it_made_anew(
    database: Database, lake: LakeContext, how: str
) -> None:
    (good, _), (bad, _) = open_shops(database, 2)
    start = now()
    run_export(lake, start)
    damage(lake, bad, how)
    small = LakeContext(lake.engine, lake.location, month_rows=0)
    # of those that have grown both would be cut into months
    assert run_compact(small, start).tenant_ids == frozenset()
    periods = dict(small.tables["orders"].files().select("tenant_id", "period").rows())
    assert (periods[str(good)], periods[str(bad)]) == (f"{day(0):%Y-%m}", f"{day(0):%Y}")
    assert quarantined(lake) == {bad: 1}
    run_compact(small, start)
    assert quarantined(lake) == {bad: 1}
    sell(database, good, 2)
    run_export(lake, start + timedelta(seconds=40))
    assert quarantined(lake) == {}
    assert run_verify(lake, now()).differences == []


def test_a_store_that_cannot_be_read_for_a_moment_has_lost_nothing(
    database: Database, lake: LakeContext
) -> None:
    """No file can be opened: taken for damaged, those of visits would be dropped."""
    ((tenant_id, _),) = open_shops(database, 1)
    run_export(lake, now())
    rewrite = begin(lake, {name: table.version for name, table in lake.tables.items()}, now()).of(
        ORDERS
    )
    (file,) = rewrite.files(str(tenant_id))
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, allowed[1]))
    try:
        with pytest.raises(OSError, match="open files"):
            rewrite.read([file])
        with pytest.raises(OSError, match="open files"):
            rewrite.read_column(file, "order_id")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
    assert rewrite.read([file]).height == 1
