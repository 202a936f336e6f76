"""A tenant whose data is refused stays as it was; the others go on, and it comes back whole."""

import logging
import shutil
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest
from sqlalchemy import select

from analytics import open_lake as read_lake
from pipelines.changeset import Changeset
from pipelines.checks.failure import CheckFailedError
from pipelines.context import LakeContext
from pipelines.isolation import apart, apply_apart
from pipelines.runner import run_export, run_rebuild
from pipelines.verification import run_verify
from shop_api.models import lake_quarantine, pipeline_runs
from tests.factories.rows import make_tenant
from tests.factories.sales import add_customer, day, place, selling, spoil
from tests.fixtures.lake import new_lake, now, open_lake, published, rows
from tests.fixtures.stores import Database

pytestmark = pytest.mark.usefixtures("no_tenants")


def orders_of(lake: LakeContext, tenant_id: UUID) -> int:
    return rows(lake, "orders").filter(pl.col("tenant_id") == str(tenant_id)).height


def quarantined(lake: LakeContext) -> dict[UUID, int]:
    columns = lake_quarantine.c
    with lake.engine.connect() as connection:
        found = connection.execute(select(columns.tenant_id, columns.attempt)).all()
    return {row.tenant_id: row.attempt for row in found}


@pytest.mark.parametrize("ending", ["retry", "rebuild"])
def test_one_tenant_does_not_stop_the_others(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, ending: str
) -> None:
    lake = new_lake(database, tmp_path / "lake")
    good, bad = make_tenant(database), make_tenant(database)
    for tenant_id in (good, bad):
        with selling(database, tenant_id) as work:
            order_id = place(work, 1, day(0))
    start = now()
    assert run_export(lake, start).state == "published"
    spoil(database, bad, order_id, 1)
    with selling(database, bad) as work:
        place(work, 2, day(1))
    with selling(database, good) as work:
        place(work, 2, day(1))
    with caplog.at_level(logging.ERROR):
        outcome = run_export(lake, start)
    assert outcome.tenant_ids == {good}
    assert str(bad) in caplog.text
    assert str(order_id) in caplog.text
    assert (orders_of(lake, good), orders_of(lake, bad)) == (2, 1)
    assert quarantined(lake) == {bad: 1}
    with lake.engine.connect() as connection:
        last = connection.execute(
            select(pipeline_runs).order_by(pipeline_runs.c.number.desc()).limit(1)
        ).one()
    assert (last.state, last.counts["refused_tenants"]) == ("succeeded", 1)
    assert str(bad) in last.error

    # what changes of it meanwhile is not kept, and not lost
    with selling(database, bad) as work:
        place(work, 3, day(2), customer_id=add_customer(work))
    assert run_export(lake, start + timedelta(seconds=1)).state == "idle"
    assert orders_of(lake, bad) == 1
    with selling(database, good) as work:
        place(work, 3, day(2))
    run_export(lake, start + timedelta(seconds=40))
    assert (orders_of(lake, good), orders_of(lake, bad)) == (3, 1)
    assert quarantined(lake) == {bad: 2}

    spoil(database, bad, order_id, 0)
    run_export(lake, start + timedelta(seconds=60))
    assert quarantined(lake) == {bad: 2}
    if ending == "retry":
        with selling(database, good) as work:
            place(work, 4, day(2))
        run_export(lake, start + timedelta(seconds=120))
    else:
        run_rebuild(lake, start + timedelta(seconds=60))
    assert quarantined(lake) == {}
    assert orders_of(lake, bad) == 3
    assert run_verify(lake, now()).differences == []


def test_a_tenant_that_stays_refused_does_not_hold_the_cursor(
    database: Database, tmp_path: Path
) -> None:
    lake = new_lake(database, tmp_path / "lake")
    good, bad = make_tenant(database), make_tenant(database)
    start = now()
    run_export(lake, start)
    for tenant_id in (good, bad):
        with selling(database, tenant_id) as work:
            order_id = place(work, 1, day(0))
    spoil(database, bad, order_id, 1)
    run_export(lake, start)
    before = published(lake)
    with selling(database, bad) as work:
        add_customer(work)
    assert run_export(lake, start + timedelta(seconds=40)).state == "idle"
    after = published(lake)
    assert (after.id, after.versions) == (before.id, before.versions)
    assert after.as_of > before.as_of
    assert quarantined(lake) == {bad: 2}
    spoil(database, bad, order_id, 0)


def test_a_refusal_of_all_that_changed_does_not_stop_the_others(
    database: Database, tmp_path: Path
) -> None:
    lake = new_lake(database, tmp_path / "lake")
    good, *bad = (make_tenant(database) for _ in range(3))
    with selling(database, good) as work:
        place(work, 1, day(0))
    start = now()
    run_export(lake, start)
    before = published(lake)
    orders = {}
    for tenant_id in bad:
        with selling(database, tenant_id) as work:
            orders[tenant_id] = place(work, 1, day(0))
        spoil(database, tenant_id, orders[tenant_id], 1)
    assert run_export(lake, start).state == "idle"
    after = published(lake)
    assert (after.id, after.versions) == (before.id, before.versions)
    assert after.as_of > before.as_of
    assert quarantined(lake) == dict.fromkeys(bad, 1)
    # to the others the lake is of the later instant, to them of the one before
    as_of = {}
    for tenant_id in (good, *bad):
        with read_lake(str(tenant_id), lake.location) as opened:
            as_of[tenant_id] = opened.snapshot.as_of
    assert as_of == {good: after.as_of, **dict.fromkeys(bad, before.as_of)}
    for tenant_id, order_id in orders.items():
        spoil(database, tenant_id, order_id, 0)
    assert run_export(lake, start + timedelta(seconds=40)).tenant_ids == set(bad)
    assert ([orders_of(lake, one) for one in bad], quarantined(lake)) == ([1, 1], {})


def test_where_all_that_changed_break_one_rule_nobody_is_held_back(
    database: Database, tmp_path: Path
) -> None:
    lake = new_lake(database, tmp_path / "lake")
    good, *bad = (make_tenant(database) for _ in range(4))
    start = now()
    run_export(lake, start)
    before = published(lake)
    orders = {}
    for tenant_id in bad:
        with selling(database, tenant_id) as work:
            orders[tenant_id] = place(work, 1, day(0))
        spoil(database, tenant_id, orders[tenant_id], 1)
    for _ in range(2):
        with pytest.raises(CheckFailedError, match="3 rows break the rule"):
            run_export(lake, start)
        assert (published(lake), quarantined(lake)) == (before, {})
    with lake.engine.connect() as connection:
        runs = connection.execute(select(pipeline_runs).order_by(pipeline_runs.c.number)).all()
    assert [(run.state, run.attempt) for run in runs[1:]] == [("failed", 1), ("failed", 2)]
    assert "3 rows break the rule" in runs[-1].error
    assert not any(str(order_id) in runs[-1].error for order_id in orders.values())

    # another's change passes: then it is their data
    with selling(database, good) as work:
        place(work, 1, day(0))
    assert run_export(lake, start).tenant_ids == {good}
    assert quarantined(lake) == dict.fromkeys(bad, 1)
    # who is held back already and tried again does not make a run fail
    with selling(database, bad[0]) as work:
        add_customer(work)
    assert run_export(lake, start + timedelta(seconds=40)).state == "idle"
    assert quarantined(lake) == dict.fromkeys(bad, 2)
    for tenant_id, order_id in orders.items():
        spoil(database, tenant_id, order_id, 0)


def test_many_that_break_several_rules_are_held_back(database: Database, tmp_path: Path) -> None:
    nothing = Changeset(open_lake(database, tmp_path), now(), {})
    changes = pl.DataFrame({"tenant_id": ["one", "two", "three"]})
    rules = {"one": "amounts add up", "two": "amounts add up", "three": "no null"}

    def attempt(of: pl.DataFrame) -> Changeset:
        for tenant_id in of["tenant_id"]:
            raise CheckFailedError("orders", rules[tenant_id], 1, [])
        return nothing

    assert apply_apart(attempt, changes, ()).refused.keys() == rules.keys()
    rules["three"] = "amounts add up"
    with pytest.raises(CheckFailedError):
        apply_apart(attempt, changes, ())
    assert apply_apart(attempt, changes, {"two"}).refused.keys() == rules.keys()


def sell_and_spoil(database: Database) -> tuple[UUID, UUID, UUID]:
    """A shop, and one with an order that does not add up."""
    good, bad = make_tenant(database), make_tenant(database)
    for tenant_id in (good, bad):
        with selling(database, tenant_id) as work:
            order_id = place(work, 1, day(0))
    spoil(database, bad, order_id, 1)
    return good, bad, order_id


def test_the_first_export_goes_on_without_a_refused_tenant(
    database: Database, tmp_path: Path
) -> None:
    good, bad, order_id = sell_and_spoil(database)
    lake = new_lake(database, tmp_path / "lake")
    start = now()
    assert run_export(lake, start).state == "published"
    assert (orders_of(lake, good), orders_of(lake, bad)) == (1, 0)
    assert quarantined(lake) == {bad: 1}
    spoil(database, bad, order_id, 0)
    run_export(lake, start + timedelta(seconds=40))
    assert (orders_of(lake, bad), quarantined(lake)) == (1, {})
    assert run_verify(lake, now()).differences == []


def test_a_rebuild_leaves_a_refused_tenant_as_it_was(database: Database, tmp_path: Path) -> None:
    good, bad = make_tenant(database), make_tenant(database)
    lake = new_lake(database, tmp_path / "lake")
    for tenant_id in (good, bad):
        with selling(database, tenant_id) as work:
            order_id = place(work, 1, day(0))
    run_export(lake, now())
    for tenant_id in (good, bad):
        with selling(database, tenant_id) as work:
            place(work, 2, day(1))
    spoil(database, bad, order_id, 1)
    assert run_rebuild(lake, now()).state == "published"
    assert (orders_of(lake, good), orders_of(lake, bad)) == (2, 1)
    assert quarantined(lake) == {bad: 1}
    spoil(database, bad, order_id, 0)
    assert run_rebuild(lake, now()).state == "published"
    assert (orders_of(lake, bad), quarantined(lake)) == (2, {})


def test_a_lost_table_is_made_anew_without_a_refused_tenant(
    database: Database, tmp_path: Path
) -> None:
    good, bad, order_id = sell_and_spoil(database)
    spoil(database, bad, order_id, 0)
    run_export(new_lake(database, tmp_path / "lake"), now())
    spoil(database, bad, order_id, 1)
    shutil.rmtree(tmp_path / "lake" / "orders")
    lake = open_lake(database, tmp_path / "lake")
    assert run_export(lake, now()).state == "published"
    assert (orders_of(lake, good), orders_of(lake, bad)) == (1, 0)
    assert rows(lake, "daily_sales").filter(pl.col("tenant_id") == str(bad)).is_empty()
    assert quarantined(lake) == {bad: 1}
    spoil(database, bad, order_id, 0)


def test_a_rebuild_fails_where_every_tenant_is_refused() -> None:
    def refuse_all(_: object) -> Changeset:
        raise CheckFailedError("orders", "amounts add up", 1, [])

    with pytest.raises(CheckFailedError):
        apart(refuse_all, refuse_all, {"one", "two"})
