"""Jobs run when due and when woken, one worker at a time, and an error does not stop them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from apscheduler.schedulers.background import BackgroundScheduler

from shop_api.kernel.clock import utc_now
from shop_api.spine.jobs import Follower, ScheduledJob, WorkerContext
from shop_api.spine.locks import try_lock
from shop_api.worker import JobRunner, Worker
from tests.fixtures.processes import wait_until
from tests.fixtures.stores import Database


@pytest.fixture
def context(database: Database, redis_client: redis.Redis, tmp_path: Path) -> WorkerContext:
    return WorkerContext(
        settings=database.settings(tmp_path, "redis://"),
        engine=database.engine,
        exporter_engine=database.exporter_engine,
        waker=database.waker,
        redis=redis_client,
    )


@contextmanager
def scheduled(*runners: JobRunner) -> Iterator[None]:
    scheduler = BackgroundScheduler(timezone=UTC)
    for runner in runners:
        runner.add_to(scheduler)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown()


def test_a_job_runs_at_once_then_when_woken_and_many_wakes_are_one_run(
    context: WorkerContext,
) -> None:
    runs: list[datetime] = []
    job = ScheduledJob("lake", "pipelines", runs.append, interval_seconds=60, wake_on_events=True)
    runner = JobRunner(job, context, utc_now)
    with scheduled(runner):
        wait_until(lambda: len(runs) == 1)
        wait_until(lambda: not runner.is_running)
        for _ in range(50):
            runner.wake()
        wait_until(lambda: len(runs) == 2, 3)
        time.sleep(1)
        assert len(runs) == 2
        assert all(run.tzinfo is not None for run in runs)


def test_a_wake_during_a_run_is_not_lost(context: WorkerContext) -> None:
    runs: list[datetime] = []
    may_end = threading.Event()

    def run(now: datetime) -> None:
        runs.append(now)
        may_end.wait(5)

    job = ScheduledJob("lake", "pipelines", run, interval_seconds=60, wake_on_events=True)
    runner = JobRunner(job, context, utc_now)
    with scheduled(runner):
        wait_until(lambda: len(runs) == 1)
        runner.wake()
        time.sleep(0.3)
        assert len(runs) == 1
        may_end.set()
        wait_until(lambda: len(runs) == 2, 3)


def test_a_failed_run_is_logged_and_tried_again(
    context: WorkerContext, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[datetime] = []

    def fail_once(now: datetime) -> None:
        runs.append(now)
        if len(runs) == 1:
            raise ValueError("broken source")

    runner = JobRunner(
        ScheduledJob("lake", "pipelines", fail_once, interval_seconds=0.2), context, utc_now
    )
    with scheduled(runner):
        wait_until(lambda: len(runs) >= 2)
    assert "broken source" in caplog.text


def test_two_workers_never_run_a_job_at_the_same_time(context: WorkerContext) -> None:
    running, overlaps, runs = set[int](), list[int](), list[int]()

    def runner_of(number: int) -> JobRunner:
        def run(_: datetime) -> None:
            overlaps.extend(running)
            running.add(number)
            runs.append(number)
            time.sleep(0.15)
            running.discard(number)

        return JobRunner(ScheduledJob("lake", "p", run, interval_seconds=0.1), context, utc_now)

    with scheduled(runner_of(1)), scheduled(runner_of(2)):
        wait_until(lambda: len(runs) >= 8)
    assert overlaps == []


def test_a_job_that_does_not_succeed_in_time_is_reported_once(
    context: WorkerContext, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    job = ScheduledJob(
        "lake", "pipelines", lambda _: None, interval_seconds=60, freshness_limit_seconds=30
    )
    runner = JobRunner(job, context, lambda: now)
    runner.check_freshness()
    now = datetime(2026, 3, 1, 0, 1, tzinfo=UTC)
    runner.check_freshness()
    runner.check_freshness()
    assert caplog.text.count("job is late") == 1
    runner.run()
    runner.check_freshness()
    assert caplog.text.count("job is late") == 1


def test_a_job_that_another_worker_is_at_is_not_late(
    context: WorkerContext, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    job = ScheduledJob(
        "lake", "pipelines", lambda _: None, interval_seconds=60, freshness_limit_seconds=30
    )
    runner = JobRunner(job, context, lambda: now)
    now = datetime(2026, 3, 1, 0, 1, tzinfo=UTC)
    with try_lock(context.exporter_engine, "job:lake"):
        runner.run()
    runner.check_freshness()
    assert "job is late" not in caplog.text
    now = datetime(2026, 3, 1, 0, 2, tzinfo=UTC)
    runner.check_freshness()
    assert "job is late" in caplog.text


def test_a_wake_that_comes_too_soon_does_not_put_off_the_next_tick(context: WorkerContext) -> None:
    done: list[datetime] = []
    refused: list[datetime] = []

    def run(now: datetime) -> bool:
        is_due = not done or now - done[-1] >= timedelta(seconds=1.8)
        (done if is_due else refused).append(now)
        return is_due

    job = ScheduledJob("lake", "pipelines", run, interval_seconds=2, wake_on_events=True)
    runner = JobRunner(job, context, utc_now)
    with scheduled(runner):
        wait_until(lambda: len(done) == 1)
        for _ in range(2):
            time.sleep(0.7)
            runner.wake()
        wait_until(lambda: len(done) == 2, 5)
    assert len(refused) == 2
    assert done[1] - done[0] < timedelta(seconds=2.6)


def test_a_worker_tells_its_jobs_to_stop_and_ends_before_its_grace_is_over(
    database: Database,
    redis_url: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = database.settings(tmp_path, redis_url, shutdown_grace_seconds=3)
    worker = Worker(settings)
    may_end = threading.Event()
    stopped: list[bool] = []

    def heed(_: datetime) -> None:
        stopped.append(worker.context.stopping.wait(10))

    def ignore(_: datetime) -> None:
        may_end.wait(20)

    added = [
        JobRunner(ScheduledJob(name, "tests", run, interval_seconds=60), worker.context, utc_now)
        for name, run in (("heeding", heed), ("ignoring", ignore))
    ]
    worker.runners.extend(added)
    assert {"webhook_fan_out", "webhook_sender"} <= {one.name for one in worker.followers}
    followed: list[int] = []

    def follow() -> None:
        followed.append(len(followed))
        if len(followed) == 1:
            raise ValueError("a follower that fails is run again")
        worker.context.stopping.wait(10)

    monkeypatch.setattr("shop_api.worker.FOLLOWER_RETRY_SECONDS", 0.05)
    worker.followers.append(Follower("following", "tests", follow, lambda: None))
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(worker.run()))
    caplog.set_level("INFO", logger="shop_api.worker")
    try:
        thread.start()
        wait_until(lambda: all(runner.is_running for runner in added))
        wait_until(lambda: followed == [0, 1])
        started = time.monotonic()
        worker.stop()
        thread.join(timeout=10)
        assert time.monotonic() - started < 2.5
    finally:
        may_end.set()
        thread.join()
        wait_until(lambda: not any(runner.is_running for runner in worker.runners))
        worker.context.engine.dispose()
        worker.context.exporter_engine.dispose()
    assert stopped == [True]
    assert codes == [1]
    named = {record.message: record for record in caplog.records}
    assert {"heeding", "ignoring"} <= set(vars(named["worker stops"])["running"])
    assert vars(named["jobs did not finish in time"])["jobs"] == ["ignoring"]


def test_a_job_says_when_it_runs() -> None:
    with pytest.raises(ValueError, match="interval_seconds or cron"):
        ScheduledJob("lake", "pipelines", lambda _: None)
