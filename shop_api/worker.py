"""The worker process: `python -m shop_api.worker`. The relay, and jobs on their schedules.

Belongs here: running jobs one at a time among all workers, waking them, running followers, and
ending in time. Does not: what they do (the package that plugs them in, see spine/jobs.py).
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from typing import Any

import psycopg
import redis
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.exc import OperationalError

from shop_api.db.engines import make_engine, require_safe_role_at_once
from shop_api.db.outages import describe
from shop_api.db.pool_watch import watch_pool
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.clock import utc_now
from shop_api.kernel.errors import StartRefused
from shop_api.kernel.logs import configure_logging
from shop_api.metrics.definitions import job_late, job_run_duration, job_runs
from shop_api.metrics.processes import count_start
from shop_api.metrics.scrape_port import ScrapePort
from shop_api.settings import Settings
from shop_api.spine.jobs import SCHEDULES, Follower, Schedule, ScheduledJob, WorkerContext
from shop_api.spine.locks import try_lock
from shop_api.spine.relay import Relay
from shop_api.spine.waker import make_waker
from shop_api.stack.instances import Heartbeat
from shop_api.stack.loading import loading
from shop_api.tracing.switch import open_tracing

# Events within this time cause one run.
DEBOUNCE_SECONDS = 0.1
# Between the end of a run and the next one caused by events: a busy shop does not run a job
# nonstop.
WAKE_SPACING_SECONDS = 0.5
FRESHNESS_CHECK_SECONDS = 10.0
JOB_STATEMENT_TIMEOUT_SECONDS = 600.0
# What a job meets whose store is away: the next run finds it back.
OUT_OF_REACH = (
    OperationalError,
    psycopg.OperationalError,
    redis.ConnectionError,
    redis.TimeoutError,
)
# Until a follower that failed is run again.
FOLLOWER_RETRY_SECONDS = 5.0
# The worker ends this much before the grace is over, and at the latest then is killed from outside.
END_MARGIN_SECONDS = 2.0

logger = logging.getLogger(__name__)


class JobRunner:
    """One job: runs it under its lock, remembers how it went, wakes it."""

    def __init__(
        self, job: ScheduledJob, context: WorkerContext, clock: Callable[[], datetime]
    ) -> None:
        self.job = job
        self._context = context
        self._clock = clock
        self._lock = threading.Lock()
        self._is_woken = False
        self._ended_at: datetime | None = None
        # when the job last succeeded here, or was seen at work elsewhere
        self._last_seen_well = clock()
        self._is_late = False
        # the run that was planned before a wake brought it forward
        self._planned: datetime | None = None
        self.is_running = False
        # runs the job then, if that is sooner than planned; what was planned
        self._bring_forward: Callable[[datetime], datetime | None] = lambda _: None

    def trigger(self) -> BaseTrigger:
        """When APScheduler runs the job."""
        if self.job.cron is not None:
            return CronTrigger.from_crontab(self.job.cron, timezone=UTC)
        return IntervalTrigger(seconds=self.job.interval_seconds, timezone=UTC)

    def add_to(self, scheduler: BackgroundScheduler) -> None:
        """Schedule the job; one with an interval runs for the first time at once."""
        name = self.job.name
        options = {"next_run_time": self._clock()} if self.job.interval_seconds is not None else {}
        scheduler.add_job(self.run, self.trigger(), id=name, name=name, **options)

        def bring_forward(at: datetime) -> datetime | None:
            job = scheduler.get_job(name)
            if job is None or (job.next_run_time is not None and job.next_run_time <= at):
                return None
            planned: datetime | None = job.next_run_time
            scheduler.modify_job(name, next_run_time=at)
            return planned

        self._bring_forward = bring_forward

    def wake(self) -> None:
        """Events were recorded: run soon, or once more after the present run."""
        with self._lock:
            if self.is_running:
                self._is_woken = True
                return
            at = self._clock() + timedelta(seconds=DEBOUNCE_SECONDS)
            if self._ended_at is not None:
                at = max(at, self._ended_at + timedelta(seconds=WAKE_SPACING_SECONDS))
        self._planned = self._bring_forward(at) or self._planned

    def run(self) -> None:
        """One run, unless another worker is at it. After an error the next tick tries again."""
        with self._lock:
            self.is_running = True
            self._is_woken = False
        planned, self._planned = self._planned, None
        started = time.monotonic()
        try:
            with try_lock(self._context.exporter_engine, f"job:{self.job.name}") as is_mine:
                if not is_mine:
                    self._last_seen_well = self._clock()
                elif self._do() is not False:
                    self._succeeded(time.monotonic() - started)
                elif planned is not None and planned > self._clock():
                    # too soon: the tick that the wake replaced stays due
                    self._bring_forward(planned)
        except OUT_OF_REACH as error:
            job_runs.labels(self.job.name, "failed").inc()
            logger.warning(
                "job cannot reach its stores: %s", describe(error), extra={"job": self.job.name}
            )
        except Exception:
            job_runs.labels(self.job.name, "failed").inc()
            logger.exception("job failed", extra={"job": self.job.name, "owner": self.job.owner})
        finally:
            with self._lock:
                self.is_running = False
                self._ended_at = self._clock()
                must_run_again = self._is_woken
            if must_run_again:
                self.wake()

    def _do(self) -> bool | None:
        with self._context.observe_job(self.job.name):
            return self.job.run(self._clock())

    def _succeeded(self, duration_seconds: float) -> None:
        self._last_seen_well = self._clock()
        job_runs.labels(self.job.name, "succeeded").inc()
        job_run_duration.labels(self.job.name).observe(duration_seconds)
        logger.debug(
            "job ran", extra={"job": self.job.name, "duration_seconds": round(duration_seconds, 3)}
        )

    def check_freshness(self) -> None:
        """Report a job that has not gone well for longer than its limit, once until it does."""
        limit = self.job.freshness_limit_seconds
        if limit is None:
            return
        age = (self._clock() - self._last_seen_well).total_seconds()
        is_late = age > limit
        if is_late and not self._is_late:
            logger.error(
                "job is late",
                extra={"job": self.job.name, "owner": self.job.owner, "age_seconds": round(age)},
            )
        self._is_late = is_late
        job_late.labels(self.job.name).set(is_late)


class Worker:
    """The relay's thread and the scheduler, from start to orderly end."""

    def __init__(self, settings: Settings) -> None:
        urls = (settings.database_url, settings.exporter_database_url, settings.redis_url)
        if not all(urls):
            raise StartRefused(
                "set DATABASE_URL, SHOP_EXPORTER_DATABASE_URL and REDIS_URL,"
                " or start with `shop-api serve`"
            )
        application_url, exporter_url, redis_url = (str(url) for url in urls)
        self._settings = settings
        self._tracing = tracing = open_tracing(settings, "worker")
        engine = make_engine(
            application_url, settings, statement_timeout_seconds=JOB_STATEMENT_TIMEOUT_SECONDS
        )
        require_safe_role_at_once(engine)
        self.context = WorkerContext(
            settings=settings,
            engine=engine,
            exporter_engine=make_engine(
                exporter_url, settings, statement_timeout_seconds=JOB_STATEMENT_TIMEOUT_SECONDS
            ),
            waker=make_waker(settings, RequestRedis(redis_url)),
            redis=redis.Redis.from_url(redis_url, socket_timeout=10, socket_connect_timeout=5),
            observe_job=nullcontext if tracing is None else tracing.job,
            observe_query=nullcontext if tracing is None else tracing.query,
        )
        if tracing is not None:
            tracing.watch_engine(engine)
            tracing.watch_engine(self.context.exporter_engine)
            tracing.watch_redis(self.context.redis)
        limit = sum(settings.pool_size)
        watch_pool(engine, "worker", "primary", limit)
        watch_pool(self.context.exporter_engine, "worker", "exporter", limit)
        plugged = [one for schedule in load_schedules() for one in schedule(self.context)]
        names = [one.name for one in plugged]
        if len(set(names)) != len(names):
            raise RuntimeError(f"two jobs have the same name: {sorted(names)}")
        self.runners = [
            JobRunner(one, self.context, utc_now)
            for one in plugged
            if isinstance(one, ScheduledJob)
        ]
        self.followers = [one for one in plugged if isinstance(one, Follower)]
        self._relay = Relay(
            exporter_url,
            redis.Redis.from_url(redis_url, socket_timeout=10, socket_connect_timeout=5),
            retention_seconds=settings.event_retention_seconds,
            clock=utc_now,
            on_events=self._wake_jobs,
            positions=self.context.waker.positions,
        )
        self._stopped = threading.Event()
        self._relay_failed = False
        self._heartbeat = Heartbeat(redis_url, "worker", self._describe)
        self._scrape_port = (
            ScrapePort(settings.host, settings.worker_port, settings.metrics_key)
            if settings.worker_port is not None
            else None
        )

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopped.set()

    def run(self) -> int:
        """Work until stopped; the exit code."""
        scheduler = BackgroundScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        )
        for runner in self.runners:
            runner.add_to(scheduler)
        scheduler.add_job(self._check_freshness, "interval", seconds=FRESHNESS_CHECK_SECONDS)
        threads = [threading.Thread(target=self._run_relay, name="relay", daemon=True)]
        threads += [
            threading.Thread(target=self._follow, args=(one,), name=one.name, daemon=True)
            for one in self.followers
        ]
        for thread in threads:
            thread.start()
        scheduler.start()
        self._heartbeat.start()
        if self._scrape_port is not None:
            self._scrape_port.start()
        logger.info("worker started", extra={"jobs": [runner.job.name for runner in self.runners]})
        self._stopped.wait()
        logger.info("worker stops", extra={"running": self._running_jobs()})
        self.context.stopping.set()
        deadline = time.monotonic() + time_to_end(self._settings.shutdown_grace_seconds)
        self._relay.stop()
        for follower in self.followers:
            follower.stop()
        scheduler.shutdown(wait=False)
        while self._running_jobs() and time.monotonic() < deadline:
            time.sleep(0.02)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        unfinished = self._running_jobs()
        if unfinished:
            logger.warning("jobs did not finish in time", extra={"jobs": unfinished})
        self.context.waker.stop()
        self._heartbeat.stop()
        if self._scrape_port is not None:
            self._scrape_port.stop()
        if self._tracing is not None:
            self._tracing.close()
        return 1 if unfinished or self._relay_failed else 0

    def _describe(self) -> dict[str, Any]:
        """What this process tells with its heartbeat."""
        caught_up_at = self._relay.caught_up_at if self._relay.is_leading else None
        return {"relay_caught_up_at": None if caught_up_at is None else caught_up_at.isoformat()}

    def _running_jobs(self) -> list[str]:
        return [runner.job.name for runner in self.runners if runner.is_running]

    def _run_relay(self) -> None:
        try:
            self._relay.run()
        except Exception:
            # without its relay the process is of no use: end, and be started anew
            logger.exception("the relay failed")
            self._relay_failed = True
            self.stop()

    def _follow(self, follower: Follower) -> None:
        while not self._stopped.is_set():
            try:
                follower.run()
            except Exception:
                extra = {"follower": follower.name, "owner": follower.owner}
                logger.exception("a follower failed", extra=extra)
                self._stopped.wait(FOLLOWER_RETRY_SECONDS)

    def _wake_jobs(self) -> None:
        for runner in self.runners:
            if runner.job.wake_on_events:
                runner.wake()

    def _check_freshness(self) -> None:
        for runner in self.runners:
            runner.check_freshness()


def time_to_end(grace_seconds: float) -> float:
    """How long running jobs may go on after SIGTERM: less than whoever sent it waits."""
    return max(grace_seconds - END_MARGIN_SECONDS, grace_seconds / 2)


def load_schedules() -> list[Schedule]:
    """The schedules plugged in, in the order of their names."""
    entries = sorted(entry_points(group=SCHEDULES), key=lambda entry: entry.name)
    return [entry.load() for entry in entries]


def main() -> None:
    """Run the worker until SIGTERM or SIGINT."""
    settings = Settings()
    configure_logging("worker", settings.log_level)
    # it warns of every tick that finds its job still running
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    with loading():
        worker = Worker(settings)
    count_start("worker")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    code = worker.run()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # a job that did not finish in its grace must not hold the process; its transaction rolls back
    os._exit(code)


if __name__ == "__main__":
    main()
