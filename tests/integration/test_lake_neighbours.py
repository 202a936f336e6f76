"""What shares a lake does not spoil it: writers that lost the lock, readers that forget, scoped
credentials, clocks."""

import gc
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from deltalake import DeltaTable
from sqlalchemy import text

from analytics import open_lake
from analytics.access import LakeAccess
from analytics.engine import BadStatement
from analytics.lake import Lake, Snapshot
from analytics.leases import LEASE_BYTES, LEASES, Leases, leased_versions
from analytics.manifest import SNAPSHOT, manifest_key
from analytics.store import Store
from pipelines.compaction import run_compact
from pipelines.context import LakeContext
from pipelines.runner import run_export, run_rebuild
from pipelines.sinks.publication import LOCK_KEY, LockLostError, writer_lock
from pipelines.sinks.run_record import FORGET_SHARES, RECORDS_KEPT, SHARES_KEPT
from shop_api.domains.insights.service import Insights, Profile
from shop_api.kernel.errors import DomainError
from tests.factories.rows import make_tenant
from tests.factories.sales import cancel, change_order, day, place, selling
from tests.fixtures.lake import everything, new_lake, now, published
from tests.fixtures.lake import open_lake as open_context
from tests.fixtures.stores import Database

pytestmark = pytest.mark.usefixtures("no_tenants")

CANCELLED = "SELECT count(*) AS n FROM orders WHERE status = 'cancelled'"


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> LakeContext:
    """An empty lake, whose replaced files stay for readers alone."""
    return replace(new_lake(database, tmp_path / "lake"), retention_hours=0)


def sell(database: Database, tenant_id: UUID, first_number: int = 0) -> list[UUID]:
    with selling(database, tenant_id) as work:
        return [place(work, first_number + n, day(20 * n)) for n in range(3)]


def change(database: Database, tenant_id: UUID, order: UUID) -> None:
    with selling(database, tenant_id) as work:
        cancel(work, order, day(90))


def test_what_a_thorough_run_writes_it_does_not_delete(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    sell(database, tenant_id)
    run_export(lake, now())
    before = everything(lake)
    grown = replace(lake, month_rows=1)
    assert run_compact(grown, now()).rows_written["orders"] == 3
    after = everything(lake)
    assert all(after[table].equals(before[table]) for table in before)


def test_a_writer_that_lost_the_lock_and_still_tells_is_corrected(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    [first, *_] = sell(database, tenant_id)
    run_export(lake, now())
    late = {key: lake.store.read(key) for key in (manifest_key(str(tenant_id)), SNAPSHOT)}
    change(database, tenant_id, first)
    run_export(lake, now())
    for key, content in late.items():
        lake.store.write(key, content)
    # the same process, which remembers what it told of
    sell(database, make_tenant(database))
    run_export(lake, now())
    with open_lake(str(tenant_id), lake.location) as opened:
        assert opened.snapshot == published(lake)
        assert opened.sql(CANCELLED) == [{"n": 1}]


class Watched(Store):
    """A folder, and what is seen while something is written into it."""

    def __init__(self, location: str, look: Callable[[], None]) -> None:
        super().__init__(location)
        self._look = look

    def write(self, key: str, content: bytes | memoryview) -> None:
        self._look()
        super().write(key, content)


def test_no_transaction_is_open_while_the_lake_is_told(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    """The server ends one that idles for a minute, and with its connection the lock."""
    holder = text(
        "SELECT a.state FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.objid = :key AND a.datname = current_database()"
    )
    seen: list[str] = []

    def look() -> None:
        with database.exporter_engine.connect() as connection:
            seen.append(connection.execute(holder, {"key": LOCK_KEY}).scalar_one())

    sell(database, tenant_id)
    lake.manifests._store = Watched(lake.location, look)
    run_rebuild(lake, now())
    told_all = len(seen)
    sell(database, tenant_id, 10)
    run_export(lake, now())
    assert told_all > 1
    assert len(seen) > told_all
    assert set(seen) == {"idle"}


def test_the_lock_is_free_once_a_run_has_ended(database: Database) -> None:
    take = text("SELECT pg_try_advisory_lock(:key)")
    with database.exporter_engine.connect() as connection:
        for _ in range(20):
            with writer_lock(database.exporter_engine):
                assert not connection.execute(take, {"key": LOCK_KEY}).scalar()
            assert connection.execute(take, {"key": LOCK_KEY}).scalar()
            connection.execute(text("SELECT pg_advisory_unlock_all()"))
        with writer_lock(database.exporter_engine) as held:
            own = held.execute(text("SELECT pg_backend_pid()")).scalar()
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": own})
        assert connection.execute(take, {"key": LOCK_KEY}).scalar()
        connection.execute(text("SELECT pg_advisory_unlock_all()"))


def test_a_run_that_failed_has_written_nothing_of_a_tenant(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    sell(database, tenant_id)
    run_export(lake, now())
    sell(database, tenant_id, 10)
    again = text(
        "INSERT INTO lake_snapshots (as_of, versions, xid, transactions, system_identifier)"
        " SELECT as_of, versions, xid, transactions, system_identifier FROM lake_snapshots"
    )

    def overtake(step: str) -> None:
        if step == "publish":
            with database.exporter_engine.begin() as connection:
                connection.execute(again)

    with pytest.raises(LockLostError):
        run_export(open_context(database, Path(lake.location), on_step=overtake), now())
    with database.exporter_engine.connect() as connection:
        shares = connection.execute(
            text(
                "SELECT r.state, s.state, s.rows_written, r.rows_written FROM pipeline_runs r"
                " JOIN pipeline_run_shares s ON s.run_id = r.id ORDER BY r.number"
            )
        ).all()
    assert shares[-1] == ("failed", "failed", 0, 0)
    assert shares[0][:2] == ("succeeded", "succeeded")


def test_shares_are_of_what_changed_and_no_more_than_are_kept(
    database: Database, lake: LakeContext
) -> None:
    busy, calm = make_tenant(database), make_tenant(database)
    for one in (busy, calm):
        [order, *_] = sell(database, one)
    run_export(lake, now())
    # an event that leaves the rows as they are
    with selling(database, calm) as work:
        change_order(work, order, note="for a friend")
    assert run_export(lake, now()).state == "idle"
    runs = text(
        "INSERT INTO pipeline_run_shares SELECT :id, gen_random_uuid(), :at - n * interval '1 s',"
        " 'succeeded', 1, 1, 1 FROM generate_series(1, :n) n"
    )
    with database.exporter_engine.begin() as connection:
        connection.execute(runs, {"id": busy, "at": now(), "n": SHARES_KEPT + 10})
        connection.execute(runs, {"id": calm, "at": now() - RECORDS_KEPT, "n": 10})
    run_compact(lake, now(), is_thorough=False)
    counts = text(
        "SELECT tenant_id, count(*), max(started_at) - min(started_at) FROM pipeline_run_shares"
        " GROUP BY 1"
    )
    with database.exporter_engine.connect() as connection:
        found = {row[0]: row[1:] for row in connection.execute(counts)}
        connection.execute(text("ANALYZE pipeline_run_shares"))
        over = {"kept": SHARES_KEPT, "new_since": now() - timedelta(hours=1)}
        plan = str(connection.execute(text(f"EXPLAIN {FORGET_SHARES}"), over).all())
    assert ("ix_pipeline_run_shares_started_at" in plan, "Seq Scan" in plan) == (True, False)
    # the newest, among them that of the first export
    assert (found[busy][0], found[calm]) == (SHARES_KEPT, (1, timedelta(0)))
    assert found[busy][1] < timedelta(seconds=SHARES_KEPT + 30)


def test_a_tenant_that_is_gone_holds_up_nobody(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    sell(database, tenant_id)
    run_export(lake, now())
    held = text(
        "INSERT INTO lake_quarantine (tenant_id, attempt, retry_at, cause, created_at)"
        " VALUES (:id, 1, now() - interval '1 minute', 'unreadable', now())"
    )
    with database.exporter_engine.begin() as connection:
        connection.execute(held, {"id": uuid4()})
    sell(database, tenant_id, 10)
    assert run_export(lake, now()).state == "published"
    with database.exporter_engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM lake_quarantine")).scalar() == 0


def test_a_tenants_lake_reads_this_tenants_files_and_writes_none(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    other = make_tenant(database)
    for one in (tenant_id, other):
        sell(database, one)
    run_export(lake, now())
    with open_lake(str(other), lake.location) as opened:
        [theirs] = opened.files("orders")
    target = Path(lake.location, "orders", f"tenant_id={tenant_id}", "x.parquet")
    with open_lake(str(tenant_id), lake.location) as opened:
        [own] = opened.files("orders")
        count = "SELECT count(*) AS n FROM read_parquet('{}')"
        assert opened.sql(count.format(own)) == [{"n": 3}]
        for statement in (
            count.format(theirs),
            count.format(Path(lake.location, "**", "*.parquet")),
            f"COPY (SELECT 1 AS a) TO '{target}'",
            f"SELECT 1) AS a; COPY (SELECT 1 AS a) TO '{target}'; SELECT * FROM (SELECT 2",
            "no statement",
        ):
            with pytest.raises(BadStatement):
                opened.sql(statement)
    assert not target.exists()


def test_a_lake_that_is_dropped_holds_nothing(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    sell(database, tenant_id)
    run_export(lake, now())
    opened = open_lake(str(tenant_id), lake.location)
    assert opened.dashboard(period="all")["orders"]["total"] == 3
    assert leased_versions(lake.store) != {}
    del opened
    gc.collect()
    assert leased_versions(lake.store) == {}


def test_a_lease_that_is_refused_is_not_tried_by_each_reader(tmp_path: Path) -> None:
    tries: list[int] = []

    def refuse() -> None:
        tries.append(1)
        raise PermissionError("no right to write here")

    leases = Leases(Watched(str(tmp_path), refuse), "processes")
    for number in range(5):
        with leases.held(Snapshot(number, now(), {})):
            pass
    leases.close()
    assert len(tries) == 1


def test_whatever_lies_among_the_leases_the_housekeeping_goes_on(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    orders = sell(database, tenant_id)
    run_export(lake, now())
    seen = published(lake)
    with open_lake(str(tenant_id), lake.location) as opened:
        before = set(opened.files("orders"))
    change(database, tenant_id, orders[0])
    run_export(lake, now())
    with open_lake(str(tenant_id), lake.location) as opened:
        replaced = before - set(opened.files("orders"))
    assert replaced
    one = {"id": 1, "as_of": "2026-01-01T00:00:00Z", "versions": {"orders": -5}}
    far = one | {"versions": {"orders": 2**62}}
    for name, content in {
        "negative": json.dumps({"snapshots": [one, far]}).encode(),
        "large": b" " * LEASE_BYTES + json.dumps({"snapshots": [far]}).encode(),
        "other": b"no lease",
    }.items():
        lake.store.write(f"{LEASES}/{tenant_id}/{name}.json", content)
    run_compact(lake, now())
    assert not any(Path(path).exists() for path in replaced)

    # a client that asks for a snapshot of which no log tells
    table = DeltaTable(str(Path(lake.location, "orders")))
    table.create_checkpoint()
    for log in Path(lake.location, "orders", "_delta_log").glob("*.json"):
        if int(log.stem) < table.version():
            log.unlink()
    insights = Insights(database.application_url, database.engine, LakeAccess(lake.location))
    profile = Profile(tenant_id, "USD", "UTC")
    try:
        insights.snapshot()
        with pytest.raises(DomainError, match=r"snapshot"):
            insights.answer(
                lambda _, lake, asked: lake.files("orders", asked.snapshot, str(tenant_id)),
                seen,
                profile,
                {},
                now() + timedelta(seconds=1),
                30.0,
            )
        held = leased_versions(lake.store).get("orders", {})
        assert seen.versions["orders"] not in held
    finally:
        insights.close()


def test_who_reads_what_left_the_log_holds_up_what_it_may_read_alone(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    orders = sell(database, tenant_id)
    run_export(lake, now())
    seen = published(lake)
    change(database, tenant_id, orders[0])
    run_export(lake, now())
    old, present = (
        {*Lake(lake.location).files("orders", one, str(tenant_id))}
        for one in (seen, published(lake))
    )
    read = old - present
    assert read
    # all of it is of yesterday, and the log tells of no version before the last
    yesterday = now() - timedelta(days=1)
    for path in read:
        os.utime(path, (yesterday.timestamp(),) * 2)
    table = DeltaTable(str(Path(lake.location, "orders")))
    table.create_checkpoint()
    for log in Path(lake.location, "orders", "_delta_log").glob("*.json"):
        if int(log.stem) < table.version():
            log.unlink()
    held = replace(seen, as_of=yesterday)
    leases = Leases(lake.store, str(tenant_id))
    with leases.held(held):
        change(database, tenant_id, orders[1])
        run_export(lake, now())
        younger = present - {*Lake(lake.location).files("orders", published(lake), str(tenant_id))}
        assert younger
        for is_thorough in (False, True):
            run_compact(lake, now(), is_thorough=is_thorough)
        assert all(Path(path).exists() for path in read)
        assert not any(Path(path).exists() for path in younger)
        # nobody reads of a version that is younger than the log: that is no lease
        leases.release(held)
        leases.forget(held)
        leases.take(seen)
        run_compact(lake, now())
    leases.close()
    assert not any(Path(path).exists() for path in read)


def test_all_is_on_the_disk_before_it_is_published(
    database: Database, tenant_id: UUID, lake: LakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(lake.location)
    synced: set[Path] = set()
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())

    def written() -> set[Path]:
        """All but what the lake tells of itself, which follows what is published."""
        return {folder, *folder.rglob("*")} - {*folder.glob("_lake"), *folder.glob("_lake/**/*")}

    lacking: list[set[Path]] = []
    known: set[Path] = set()

    def look(step: str) -> None:
        if step == "publish":
            lacking.append(written() - known - synced)

    monkeypatch.setattr(os, "fsync", watched)
    watching = open_context(database, folder, on_step=look)
    orders = sell(database, tenant_id)
    run_export(watching, now())
    assert folder / manifest_key(str(tenant_id)) in synced
    known |= written()
    synced.clear()
    change(database, tenant_id, orders[0])
    run_export(watching, now())
    # what was there before is not asked for again, but for folders and the log's last commit
    assert {path.suffix for path in synced & known} <= {"", ".json"}
    assert len(synced & known) < len(known) / 2
    assert lacking == [set(), set()]
