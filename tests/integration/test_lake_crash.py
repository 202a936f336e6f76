"""Runs that die, and runs that meet: readers stay on the last snapshot, the next run is exact."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from polars.testing import assert_frame_equal
from sqlalchemy import text

from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.sinks.delta import ForeignCommitError
from pipelines.sinks.publication import LOCK_KEY
from pipelines.verification import run_verify
from tests.factories.sales import (
    add_customer,
    add_product,
    cancel,
    day,
    pay,
    place,
    refund,
    selling,
)
from tests.factories.stock import add_variant, move
from tests.fixtures.lake import everything, new_lake, now, open_lake, published
from tests.fixtures.stores import Database

pytestmark = pytest.mark.usefixtures("no_tenants")

STEPS = ["commit orders", "commit order_lines", "commit inventory_movements", "commit stock_levels"]
STEPS += ["commit dim_customers", "publish", "published"]


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> LakeContext:
    """An empty lake."""
    return new_lake(database, tmp_path / "lake")


def sell(database: Database, tenant_id: UUID, first_number: int) -> list[UUID]:
    """Some orders and what belongs to them."""
    with selling(database, tenant_id) as work:
        buyer, variant = add_customer(work), add_variant(work, add_product(work, "Thing"))
        move(work, variant, first_number, 1)
        orders = [place(work, first_number + n, day(10 * n), customer_id=buyer) for n in range(5)]
        pay(work, orders[0], Decimal(5))
        refund(work, orders[1], day(60), Decimal(1))
    return orders


def die_at(database: Database, lake: LakeContext, step: str) -> None:
    """An export in a process of its own, killed at `step`."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.faults.lake_export",
            *(database.exporter_url, lake.location, step),
        ],
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_export_changes_nothing_for_readers_and_the_next_is_exact(
    database: Database, tenant_id: UUID, lake: LakeContext, step: str
) -> None:
    orders = sell(database, tenant_id, 1)
    run_export(lake, now())
    before, seen = published(lake), everything(lake)
    sell(database, tenant_id, 100)
    with selling(database, tenant_id) as work:
        cancel(work, orders[2], day(90))

    die_at(database, lake, step)

    if step == "published":
        assert published(lake).id > before.id
    else:
        assert published(lake) == before
        for table, rows in everything(lake).items():
            assert_frame_equal(rows, seen[table])
    # other changes come before the next run, so that it is not the same run again
    with selling(database, tenant_id) as work:
        cancel(work, orders[3], day(91))
    assert run_export(lake, now()).state == "published"
    assert run_verify(lake, now()).differences == []


def test_a_killed_first_export_leaves_no_snapshot(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    sell(database, tenant_id, 1)
    die_at(database, lake, "commit payments")
    with pytest.raises(AssertionError):
        published(lake)
    assert run_export(lake, now()).state == "published"
    assert run_verify(lake, now()).differences == []


def test_of_two_runs_at_once_one_finds_the_other_busy_or_waits_for_it(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    sell(database, tenant_id, 1)
    reached, waits, go_on = threading.Event(), threading.Event(), threading.Event()

    def pause(step: str) -> None:
        if step == "commit orders":
            reached.set()
            assert go_on.wait(30)

    first = open_lake(database, Path(lake.location), on_step=pause)
    patient = open_lake(database, Path(lake.location), on_step=lambda _: waits.set())
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(run_export, first, now())
        assert reached.wait(30)
        try:
            assert run_export(lake, now()).state == "busy"
            waiting = pool.submit(run_export, patient, now(), waits=True)
            assert waits.wait(30)
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
        finally:
            go_on.set()
        assert running.result(30).state == "published"
        assert waiting.result(30).state == "idle"
    assert run_export(lake, now()).state == "idle"
    assert run_verify(lake, now()).differences == []


@pytest.mark.parametrize("step", ["commit orders", "commit order_lines", "publish"])
def test_a_run_that_lost_its_lock_cannot_publish(
    database: Database, tenant_id: UUID, lake: LakeContext, step: str
) -> None:
    orders = sell(database, tenant_id, 1)
    run_export(lake, now())
    with selling(database, tenant_id) as work:
        cancel(work, orders[0], day(90))

    def lose_lock_to_another(reached: str) -> None:
        if reached != step:
            return
        # as the server sees a worker whose connection broke
        database.server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks"
            f" WHERE locktype = 'advisory' AND objid = {LOCK_KEY} AND granted"
            f" AND database = (SELECT oid FROM pg_database WHERE datname = '{database.name}')",
        )
        with selling(database, tenant_id) as work:
            cancel(work, orders[1], day(91))
        assert run_export(lake, now()).state == "published"

    stale = open_lake(database, Path(lake.location), on_step=lose_lock_to_another)
    with pytest.raises(Exception) as refused:  # noqa: PT011
        run_export(stale, now())
    assert isinstance(refused.value, ForeignCommitError) or "terminat" in str(refused.value)
    with selling(database, tenant_id) as work:
        cancel(work, orders[2], day(92))
    run_export(lake, now())
    assert run_verify(lake, now()).differences == []


def test_a_lost_lake_is_rebuilt(
    database: Database, tenant_id: UUID, lake: LakeContext, tmp_path: Path
) -> None:
    orders = sell(database, tenant_id, 1)
    run_export(lake, now())
    elsewhere = open_lake(database, tmp_path / "new disk")
    with selling(database, tenant_id) as work:
        cancel(work, orders[0], day(90))
    assert run_export(elsewhere, now()).state == "published"
    assert run_verify(elsewhere, now()).differences == []


def test_another_server_means_all_anew(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    """After a restore elsewhere transaction ids start again: a position says nothing there."""
    sell(database, tenant_id, 1)
    run_export(lake, now())
    sell(database, tenant_id, 100)
    with database.exporter_engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE lake_snapshots SET system_identifier = 1, xid = '1000000000'::xid8,"
                " transactions = '1000000000:1000000000:'"
                ", as_of = now() - interval '1 hour'"
            )
        )
    assert run_export(lake, now()).state == "published"
    assert run_verify(lake, now()).differences == []
