"""Rows of usage are put together and deleted by age, and no request is lost or counted twice."""

import threading
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
from sqlalchemy import text

from pipelines.runner import run_export, run_rebuild
from pipelines.usage import run_usage
from shop_api.db.tenancy import tenant_session
from shop_api.domains.operations.tasks import jobs
from shop_api.metrics.usage import Usage, UsageCounts
from shop_api.models.usage import ALL_PROCESSES
from shop_api.spine import usage as spine_usage
from shop_api.spine.jobs import WorkerContext
from shop_api.spine.usage import WRITABLE, UsageWriter
from shop_api.spine.usage_fold import FOLDED_AFTER, delete_usage, fold_usage, tenants_to_fold
from tests.factories.rows import make_tenant
from tests.fixtures.lake import new_lake, now, rows
from tests.fixtures.stores import Database

INSERT = text(
    "INSERT INTO api_usage (tenant_id, hour, method, route, status_class, process_id, requests,"
    " refusals, cache_hits, request_bytes, response_bytes, duration_microseconds)"
    " SELECT :tenant_id, CAST(:hour AS timestamptz) + hours * interval '1 hour', 'GET', route,"
    " '2xx', :process_id, 1, 2, 3, 4, 5, :microseconds"
    " FROM generate_series(0, :hours - 1) AS hours, unnest(ARRAY['/a', '/b']) AS route"
)
KIND = ("GET", "/a", "2xx")


def hours_ago(hours: float) -> datetime:
    return (now() - timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)


def write_by_hand(
    database: Database, tenant_id: UUID, process_id: UUID, first: datetime, hours: int
) -> None:
    """Rows of two routes, as the process wrote them when those hours were present."""
    values = {"tenant_id": tenant_id, "process_id": process_id, "hour": first, "hours": hours}
    with tenant_session(database.engine, tenant_id) as session:
        session.execute(INSERT, {**values, "microseconds": process_id.int % 1000})


def sums(database: Database, tenant_id: UUID) -> list[tuple[object, ...]]:
    with psycopg.connect(database.exporter_url) as connection:
        return connection.execute(
            "SELECT hour, method, route, status_class, sum(requests), sum(refusals),"
            " sum(cache_hits), sum(request_bytes), sum(response_bytes), sum(duration_microseconds)"
            " FROM api_usage WHERE tenant_id = %s GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
            (tenant_id,),
        ).fetchall()


def processes(database: Database, tenant_id: UUID) -> list[tuple[datetime, UUID]]:
    with psycopg.connect(database.exporter_url) as connection:
        return connection.execute(
            "SELECT hour, process_id FROM api_usage WHERE tenant_id = %s AND route = '/a'"
            " ORDER BY hour",
            (tenant_id,),
        ).fetchall()


def test_old_hours_become_one_row_with_the_same_sums(database: Database) -> None:
    tenant_id, other_id = uuid4(), uuid4()
    first, recent = hours_ago(24 * 5), hours_ago(40)
    for _ in range(3):
        write_by_hand(database, tenant_id, uuid4(), first, 30)
        write_by_hand(database, tenant_id, uuid4(), recent, 1)
    write_by_hand(database, other_id, uuid4(), first, 1)
    before, others = sums(database, tenant_id), processes(database, other_id)
    assert {tenant_id, other_id} <= set(tenants_to_fold(database.exporter_engine, now()))
    assert fold_usage(database.engine, tenant_id, now()) == 3 * 30 * 2
    assert sums(database, tenant_id) == before
    found = processes(database, tenant_id)
    assert [process for hour, process in found if hour < recent] == [ALL_PROCESSES] * 30
    assert len([process for hour, process in found if hour == recent]) == 3
    assert processes(database, other_id) == others
    assert tenant_id not in tenants_to_fold(database.exporter_engine, now())
    # a row of a process that comes by another way is added to those that are there
    write_by_hand(database, tenant_id, uuid4(), first, 30)
    before = sums(database, tenant_id)
    assert fold_usage(database.engine, tenant_id, now()) == 60
    assert sums(database, tenant_id) == before


def test_a_worker_whose_clock_is_ahead_folds_nothing_that_is_written(database: Database) -> None:
    tenant_id = uuid4()
    write_by_hand(database, tenant_id, uuid4(), hours_ago(3), 1)
    assert fold_usage(database.engine, tenant_id, now() + timedelta(days=9)) == 0
    assert delete_usage(database.engine, tenant_id, now() + timedelta(days=9), WRITABLE) == 0


def test_a_total_that_comes_late_does_not_count_again(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A process whose commit was not answered, and that reached Postgres again days later."""
    tenant_id, counts = uuid4(), UsageCounts()
    writer = UsageWriter(database.engine, counts, 60)
    old = hours_ago(60)
    write_by_hand(database, tenant_id, counts.process_id, old, 1)
    before = sums(database, tenant_id)
    fold_usage(database.engine, tenant_id, now())
    counts.add(old, (tenant_id.int, *KIND), Usage(1, 2, 3, 4, 5, 6))
    assert writer.write()
    assert counts.unwritten() == {}
    assert sums(database, tenant_id) == before
    assert "usage of 1 requests is lost: it waited for over a day" in caplog.text


def test_of_a_total_that_comes_late_only_what_was_not_written_is_lost(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id, counts = uuid4(), UsageCounts()
    writer = UsageWriter(database.engine, counts, 60)
    before = hours_ago(1)
    counts.add(before, (tenant_id.int, *KIND), Usage(5))
    assert writer.write()
    # a day goes by
    monkeypatch.setattr(spine_usage, "WRITABLE", timedelta(minutes=30))
    for grown in (2, 3):
        counts.add(before, (tenant_id.int, *KIND), Usage(grown))
        assert writer.write()
    assert [row[4] for row in sums(database, tenant_id)] == [5]
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [message.split(":")[0] for message in told] == [
        "usage of 2 requests is lost",
        "usage of 3 requests is lost",
    ]


def test_an_hour_that_is_written_is_not_folded(database: Database) -> None:
    """As late as it may be, with folds before, between and after."""
    tenant_id, counts = uuid4(), UsageCounts()
    writer = UsageWriter(database.engine, counts, 60)
    last = hours_ago(22)
    assert timedelta(hours=12) <= FOLDED_AFTER - WRITABLE
    for _ in range(3):
        counts.add(last, (tenant_id.int, *KIND), Usage(1))
        assert writer.write()
        assert fold_usage(database.engine, tenant_id, now()) == 0
    assert [row[4] for row in sums(database, tenant_id)] == [3]


def test_folds_at_once_beside_a_process_that_writes(database: Database) -> None:
    tenant_id, counts = uuid4(), UsageCounts()
    writer = UsageWriter(database.engine, counts, 60)
    for _ in range(4):
        write_by_hand(database, tenant_id, uuid4(), hours_ago(24 * 9), 24 * 6)
    write_by_hand(database, tenant_id, counts.process_id, hours_ago(24 * 9), 24 * 6)
    before = sums(database, tenant_id)
    threads = [
        threading.Thread(target=fold_usage, args=(database.engine, tenant_id, now()))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for number in range(30):
        counts.add(hours_ago(20 - number % 3), (tenant_id.int, *KIND), Usage(1))
        assert writer.write()
    for thread in threads:
        thread.join()
    fold_usage(database.engine, tenant_id, now())
    found = sums(database, tenant_id)
    assert found[: len(before)] == before
    assert sum(int(str(row[4])) for row in found[len(before) :]) == 30
    folded = [process for hour, process in processes(database, tenant_id) if hour < hours_ago(50)]
    assert folded == [ALL_PROCESSES] * 24 * 6


def test_the_housekeeping_folds_and_deletes_and_the_lake_stays_the_same(
    database: Database, redis_client: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    tenant_id = make_tenant(database)
    past, kept = hours_ago(24 * 401), hours_ago(24 * 399)
    for hour in (past, kept):
        for _ in range(2):
            write_by_hand(database, tenant_id, uuid4(), hour, 2)
    lake = new_lake(database, tmp_path / "lake")
    run_export(lake, now())
    run_usage(lake, now())
    before = rows(lake, "api_usage")
    of_tenant = before.filter(tenant_id=str(tenant_id))
    assert of_tenant["requests"].to_list() == [2] * 8
    context = WorkerContext(
        settings=database.settings(tmp_path, redis_url),
        engine=database.engine,
        exporter_engine=database.exporter_engine,
        waker=database.waker,
        redis=redis_client,
    )
    (job,) = jobs(context)
    job.run(now())
    assert processes(database, tenant_id) == [
        (kept, ALL_PROCESSES),
        (kept + timedelta(hours=1), ALL_PROCESSES),
    ]
    assert run_usage(lake, now()).state == "idle"
    assert rows(lake, "api_usage").equals(before)
    # made anew it has what Postgres has
    run_rebuild(lake, now())
    anew = rows(lake, "api_usage").filter(tenant_id=str(tenant_id))
    assert anew.equals(of_tenant.filter(of_tenant["hour"] >= kept))
