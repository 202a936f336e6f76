"""The lake's jobs, as the worker runs them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import redis

from analytics.store import StoreError
from pipelines.schedule import jobs
from pipelines.sinks.publication import writer_lock
from pipelines.traffic import BATCHES_A_RUN
from shop_api.db.request_redis import RequestRedis
from shop_api.spine.jobs import ScheduledJob, WorkerContext
from shop_api.spine.traffic_stream import STREAM, TrafficEvent, TrafficIntake, microseconds
from shop_api.worker import JobRunner
from tests.factories.sales import day, place, selling
from tests.fixtures.lake import new_lake, now, open_lake, published, rows
from tests.fixtures.stores import Database


@pytest.fixture
def context(
    database: Database, redis_client: redis.Redis, redis_url: str, tmp_path: Path
) -> WorkerContext:
    """A worker's context, and an empty lake."""
    settings = database.settings(tmp_path, redis_url)
    new_lake(database, Path(settings.lake_location))
    return WorkerContext(
        settings=settings,
        engine=database.engine,
        exporter_engine=database.exporter_engine,
        waker=database.waker,
        redis=redis_client,
    )


def by_name(context: WorkerContext) -> dict[str, ScheduledJob]:
    return {job.name: job for job in jobs(context)}


def test_each_job_has_an_owner_and_a_freshness_limit(context: WorkerContext) -> None:
    found = by_name(context)
    names = {
        "lake_export",
        "lake_usage",
        "lake_traffic",
        "lake_lateness",
        "lake_tidy",
        "lake_sweep",
    }
    assert set(found) == names
    for job in found.values():
        assert job.owner == "pipelines"
        assert job.freshness_limit_seconds
    assert found["lake_export"].wake_on_events
    assert found["lake_export"].interval_seconds == context.settings.lake_interval_seconds


def test_the_export_publishes_and_calls_hooks_added_later(
    database: Database, tenant_id: UUID, context: WorkerContext
) -> None:
    export = by_name(context)["lake_export"]
    heard: list[frozenset[UUID]] = []
    context.after_publish.append(lambda tenant_ids, _: heard.append(tenant_ids))
    with selling(database, tenant_id) as work:
        place(work, 1, day(0))
    export.run(now())
    lake = open_lake(database, Path(context.lake_location))
    assert str(tenant_id) in rows(lake, "orders")["tenant_id"].to_list()
    assert tenant_id in heard[0]
    export.run(now())
    assert len(heard) == 1
    for name in ("lake_tidy", "lake_sweep"):
        by_name(context)[name].run(now())
    assert str(tenant_id) in rows(lake, "orders")["tenant_id"].to_list()


def test_a_busy_shop_is_exported_once_an_interval(
    database: Database, tenant_id: UUID, context: WorkerContext
) -> None:
    export = by_name(context)["lake_export"]
    first = now()
    export.run(first)
    lake = open_lake(database, Path(context.lake_location))
    before = published(lake)
    with selling(database, tenant_id) as work:
        place(work, 1, day(0))
    interval = timedelta(seconds=context.settings.lake_interval_seconds)
    export.run(first + interval / 2)
    assert published(lake) == before
    export.run(first + interval)
    assert published(lake).id > before.id


def obstruct(context: WorkerContext, tenant_id: UUID) -> Path:
    """Put a file where the tenant's folder of orders is to be: no run can write any."""
    obstacle = Path(context.lake_location, "orders", f"tenant_id={tenant_id}")
    obstacle.touch()
    return obstacle


def test_a_failed_export_is_tried_again_later_and_later(
    database: Database, tenant_id: UUID, context: WorkerContext
) -> None:
    export = by_name(context)["lake_export"]
    export.run(now())
    lake = open_lake(database, Path(context.lake_location))
    before = published(lake)
    with selling(database, tenant_id) as work:
        place(work, 1, day(0))
    first = now() + timedelta(seconds=10)
    obstacle = obstruct(context, tenant_id)
    with pytest.raises(StoreError):
        export.run(first)
    export.run(first + timedelta(seconds=1))
    with pytest.raises(StoreError):
        export.run(first + timedelta(seconds=2))
    export.run(first + timedelta(seconds=5))
    assert published(lake) == before
    obstacle.unlink()
    export.run(first + timedelta(seconds=6))
    assert published(lake).id > before.id


def test_an_export_that_waits_after_failures_is_reported_late(
    database: Database, tenant_id: UUID, context: WorkerContext, caplog: pytest.LogCaptureFixture
) -> None:
    job = by_name(context)["lake_export"]
    job.run(now())
    with selling(database, tenant_id) as work:
        place(work, 1, day(0))
    obstruct(context, tenant_id)
    clock = [now() + timedelta(seconds=10)]
    runner = JobRunner(job, context, lambda: clock[0])
    for _ in range(8):
        runner.run()
        runner.check_freshness()
        clock[0] += timedelta(seconds=5)
    assert [r.message for r in caplog.records if r.message == "job is late"] == ["job is late"]


def test_an_export_that_finds_the_lake_taken_is_no_success(
    tenant_id: UUID, context: WorkerContext
) -> None:
    job = by_name(context)["lake_export"]
    with writer_lock(context.exporter_engine):
        assert job.run(now()) is False
    assert job.run(now()) is True


def test_the_job_of_traffic_takes_all_that_waits_and_tells_the_hooks(
    database: Database, tenant_id: UUID, context: WorkerContext, redis_url: str
) -> None:
    found = by_name(context)
    found["lake_export"].run(now())
    intake = TrafficIntake(RequestRedis(redis_url), 1_000_000)
    # more than one run takes, the first of them twice
    for number in [0, *range(BATCHES_A_RUN + 1)]:
        sent = TrafficEvent(str(UUID(int=number)), microseconds(now()), "session", "v", "s", False)
        assert intake.add(tenant_id, [sent], [], now())
    heard: list[frozenset[UUID]] = []
    context.after_publish.append(lambda tenant_ids, _: heard.append(tenant_ids))
    found["lake_traffic"].run(now())
    lake = open_lake(database, Path(context.settings.lake_location))
    assert rows(lake, "traffic_events").height == BATCHES_A_RUN + 1
    assert heard == [frozenset({tenant_id})] * 2
    assert context.redis.xlen(STREAM) == 0


def test_the_housekeeping_keeps_events_as_long_as_is_set(
    database: Database, tenant_id: UUID, context: WorkerContext, redis_url: str
) -> None:
    settings = context.settings.model_copy(update={"traffic_retention_days": 7})
    found = by_name(replace(context, settings=settings))
    found["lake_export"].run(now())
    intake = TrafficIntake(RequestRedis(redis_url), 1_000_000)
    for days in (1, 9):
        at = now() - timedelta(days=days)
        sent = TrafficEvent(str(uuid4()), microseconds(at), "session", "v", "s", False)
        assert intake.add(tenant_id, [sent], [], at)
    found["lake_traffic"].run(now())
    found["lake_tidy"].run(now())
    lake = open_lake(database, Path(context.settings.lake_location))
    assert rows(lake, "traffic_events").height == 1
