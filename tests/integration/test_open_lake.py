"""Analysts open what is published, from the lake alone, and keep it while they read."""

import os
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from analytics import open_lake
from analytics.access import LakeAccess
from analytics.leases import LEASE, LEASES, leased_versions
from analytics.manifest import SNAPSHOT, manifest_key, read_snapshot
from analytics.periods import BadParameter
from analytics.tenant_lake import LakeClosedError
from pipelines.compaction import run_compact
from pipelines.context import LakeContext
from pipelines.runner import run_export
from shop_api.domains.insights.service import Insights, Profile
from tests.factories.rows import make_tenant
from tests.factories.sales import cancel, day, place, selling
from tests.fixtures.lake import new_lake, now, published
from tests.fixtures.lake import open_lake as open_context
from tests.fixtures.stores import Database

pytestmark = pytest.mark.usefixtures("no_tenants")

CANCELLED = "SELECT count(*) AS n FROM orders WHERE status = 'cancelled'"


class Died(BaseException):
    """The process ended here."""


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> LakeContext:
    """An empty lake, whose replaced files stay for readers alone."""
    return replace(new_lake(database, tmp_path / "lake"), retention_hours=0)


def sell(database: Database, tenant_id: UUID) -> list[UUID]:
    with selling(database, tenant_id) as work:
        return [place(work, number, day(20 * number)) for number in range(3)]


def change(database: Database, tenant_id: UUID, order: UUID) -> None:
    with selling(database, tenant_id) as work:
        cancel(work, order, day(90))


def cancelled(lake: LakeContext, tenant_id: UUID) -> int:
    with open_lake(str(tenant_id), lake.location) as opened:
        return int(opened.sql(CANCELLED)[0]["n"])


def test_a_run_that_died_before_it_told_the_lake_is_made_up_for(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    [first, *_] = sell(database, tenant_id)
    run_export(lake, now())
    before = published(lake)
    change(database, tenant_id, first)

    def die(step: str) -> None:
        if step == "published":
            raise Died

    with pytest.raises(Died):
        run_export(open_context(database, Path(lake.location), on_step=die), now())
    assert published(lake).id == before.id + 1
    assert read_snapshot(lake.store) == before
    # behind, not wrong
    assert cancelled(lake, tenant_id) == 0
    # nothing has changed since, and still the next tick has something to do
    run_export(lake, now())
    assert read_snapshot(lake.store) == published(lake)
    assert cancelled(lake, tenant_id) == 1


def test_a_run_tells_of_the_tenants_that_changed_alone(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    other = make_tenant(database)
    [first, *_] = sell(database, tenant_id)
    sell(database, other)
    run_export(lake, now())
    root = Path(lake.location)
    told = {
        key: (root / key).read_bytes() for key in map(manifest_key, map(str, (tenant_id, other)))
    }
    change(database, tenant_id, first)
    run_export(lake, now())
    changed = {key for key, content in told.items() if (root / key).read_bytes() != content}
    assert changed == {manifest_key(str(tenant_id))}
    # each is of the newest snapshot all the same, and names nothing of the other
    for one, another in [(tenant_id, other), (other, tenant_id)]:
        with open_lake(str(one), root) as opened:
            assert opened.snapshot == published(lake)
            assert opened.scan("orders").select(pl.sum("total")).collect().item() > Decimal(0)
        assert str(another) not in (root / manifest_key(str(one))).read_text()
    assert str(other) not in (root / SNAPSHOT).read_text()


def test_files_stay_while_they_are_read_and_go_when_nobody_does(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    orders = sell(database, tenant_id)
    run_export(lake, now())
    with open_lake(str(tenant_id), lake.location) as opened:
        relation = opened.relation("orders")
        files = [Path(path) for path in opened.files("orders")]
        before = opened.dashboard(period="all")
        for order in orders[:2]:
            change(database, tenant_id, order)
            run_export(lake, now())
            run_compact(lake, now())
        assert all(path.exists() for path in files)
        assert opened.dashboard(period="all") == before
        assert relation.filter("status = 'cancelled'").fetchall() == []
        assert opened.scan("orders").collect().height == 3
    run_compact(lake, now())
    assert not any(path.exists() for path in files)
    assert cancelled(lake, tenant_id) == 2


def test_a_lease_ends_after_its_process(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    [first, *_] = sell(database, tenant_id)
    run_export(lake, now())
    opened = open_lake(str(tenant_id), lake.location)
    try:
        files = [Path(path) for path in opened.files("orders")]
        change(database, tenant_id, first)
        run_export(lake, now())
        # the worker's clock is ahead of the store's, whose own tells how old the lease is
        run_compact(lake, now() + 2 * LEASE)
        assert all(path.exists() for path in files)
        # as it stands when nobody has renewed it
        [lease] = lake.store.listing(LEASES)
        ended_at = (lease.modified_at - LEASE - timedelta(seconds=1)).timestamp()
        os.utime(Path(lake.location, lease.key), (ended_at, ended_at))
        run_compact(lake, now())
        assert not any(path.exists() for path in files)
    finally:
        opened.close()


def test_the_api_holds_what_its_statements_read(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    [first, *_] = sell(database, tenant_id)
    run_export(lake, now())
    insights = Insights(database.application_url, database.engine, LakeAccess(lake.location))
    seen = published(lake)

    def build(*_: object) -> int:
        change(database, tenant_id, first)
        run_export(lake, now())
        run_compact(lake, now())
        held = leased_versions(lake.store)
        assert all(version in held[table] for table, version in seen.versions.items())
        return sum(Path(p).exists() for p in insights.lake.files("orders", seen, str(tenant_id)))

    try:
        # the file lists of the snapshot, as it is read when it is the newest
        profile = Profile(tenant_id, "USD", "UTC")
        assert insights.lake.files("orders", seen, str(tenant_id))
        assert insights.answer(build, seen, profile, {}, now(), 30.0) > 0
    finally:
        insights.close()
    assert leased_versions(lake.store) == {}


def test_questions_are_asked_as_of_the_api(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    sell(database, tenant_id)
    run_export(lake, now())
    with open_lake(str(tenant_id), lake.location) as opened:
        whole = opened.revenue(start=day(0).date().isoformat(), end=day(60).date().isoformat())
        assert whole["metrics"]["orders"] == 3
        assert opened.revenue(period="all", currency="EUR")["metrics"]["orders"] == 0
        with pytest.raises(TypeError, match="no parameter 'perid'; there are basis, channel"):
            opened.revenue(perid="all")
        assert opened.orders(period="all")["metrics"]["orders"] == 3
        assert len(opened.products(period="all", limit=1)["data"]) == 1
        assert opened.traffic(period="all")["metrics"]["sessions"] == 0
        asked = opened.query(["orders"], ["channel"], period="all")
        assert [(one["dimensions"], one["metrics"]) for one in asked["data"]] == [
            ({"channel": "web"}, {"orders": 3})
        ]
        none = opened.query(["orders"], filters={"channel": ["pos"]}, period="all")
        assert none["totals"]["metrics"]["orders"] == 0
        with pytest.raises(BadParameter, match="must be one of gross_sales"):
            opened.query(["nope"], period="all")
        with pytest.raises(BadParameter, match="one of desktop"):
            opened.query(["sessions"], filters={"device": ["fridge"]}, period="all")
    for ask in (opened.dashboard, lambda: opened.sql("SELECT 1"), lambda: opened.scan("orders")):
        with pytest.raises(LakeClosedError, match="Open it anew with open_lake"):
            ask()
