"""What of the lake runs when, who answers for it and how late it may be.

Belongs here: the jobs of the entry-point group `shop_api.schedules`. Does not: the work (runner.py,
compaction.py).
"""

import logging
from datetime import UTC, datetime, timedelta

from analytics.access import access_of
from pipelines.compaction import run_compact
from pipelines.context import LakeContext
from pipelines.lateness import LATENESS, check_lateness
from pipelines.runner import EXPORT, run_export
from pipelines.sinks import run_record
from pipelines.traffic import TRAFFIC, run_traffic
from pipelines.usage import USAGE, run_usage
from shop_api.spine.jobs import ScheduledJob, WorkerContext

OWNER = "pipelines"
EXPORT_FRESHNESS_SECONDS = 30.0
# A busy shop replaces a gigabyte of files an hour, so they are cleared away all day long.
TIDY_SECONDS = 900.0
TIDY_FRESHNESS_SECONDS = 3600.0
# An hour's facts are written anew with each run that follows a request of the hour.
USAGE_SECONDS = 300.0
USAGE_FRESHNESS_SECONDS = 1800.0
# Each run adds a file for each tenant with visitors, until they are joined.
TRAFFIC_SECONDS = 60.0
TRAFFIC_FRESHNESS_SECONDS = 600.0
LATENESS_SECONDS = 15.0
LATENESS_FRESHNESS_SECONDS = 120.0
SWEEP_CRON = "17 3 * * *"
SWEEP_FRESHNESS_SECONDS = 36 * 3600.0
# A tick that comes a little early still runs.
SPACING = 0.9
# After n failures in a row the export waits 2ⁿ seconds, this at most.
BACKOFF_LIMIT = timedelta(minutes=1)
logger = logging.getLogger(__name__)


def jobs(context: WorkerContext) -> list[ScheduledJob]:
    """The lake's jobs. Hooks that others add to `context.after_publish` later are called too."""
    lake = LakeContext(
        engine=context.exporter_engine,
        location=context.lake_location,
        month_rows=context.settings.lake_month_rows,
        traffic_retention=timedelta(days=context.settings.traffic_retention_days),
        retention_hours=context.settings.lake_retention_hours,
        storage_options=access_of(context.settings).storage_options,
        after_publish=context.after_publish,
    )

    interval = timedelta(seconds=context.settings.lake_interval_seconds)
    published_at = [datetime.min.replace(tzinfo=UTC)]

    def export(now: datetime) -> bool:
        # woken by every event, a busy shop still publishes once an interval
        if now < max(published_at[0] + interval * SPACING, _retry_at(lake)):
            return False
        outcome = run_export(lake, now)
        if outcome.state == "published" and outcome.snapshot is not None:
            published_at[0] = now
            logger.info(
                "lake snapshot %s: %s rows of %s tenants",
                outcome.snapshot.id,
                sum(outcome.rows_written.values()),
                len(outcome.tenant_ids),
            )
        return outcome.state != "busy"

    def tidy(now: datetime) -> None:
        run_compact(lake, now, is_thorough=False)

    def sweep(now: datetime) -> None:
        run_compact(lake, now)

    return [
        ScheduledJob(
            name=EXPORT,
            owner=OWNER,
            run=export,
            interval_seconds=context.settings.lake_interval_seconds,
            wake_on_events=True,
            freshness_limit_seconds=EXPORT_FRESHNESS_SECONDS,
        ),
        *_arrivals(context, lake),
        _alarm(context),
        ScheduledJob(
            name="lake_tidy",
            owner=OWNER,
            run=tidy,
            interval_seconds=TIDY_SECONDS,
            freshness_limit_seconds=TIDY_FRESHNESS_SECONDS,
        ),
        ScheduledJob(
            name="lake_sweep",
            owner=OWNER,
            run=sweep,
            cron=SWEEP_CRON,
            freshness_limit_seconds=SWEEP_FRESHNESS_SECONDS,
        ),
    ]


def _alarm(context: WorkerContext) -> ScheduledJob:
    """The job that tells when the lake is late."""
    late_after = timedelta(seconds=context.settings.lake_late_after_seconds)

    def check(now: datetime) -> None:
        check_lateness(context.exporter_engine, now, late_after)

    return ScheduledJob(
        name=LATENESS,
        owner=OWNER,
        run=check,
        interval_seconds=LATENESS_SECONDS,
        freshness_limit_seconds=LATENESS_FRESHNESS_SECONDS,
    )


def _arrivals(context: WorkerContext, lake: LakeContext) -> list[ScheduledJob]:
    """The jobs of what no event of the spine tells of: API usage, storefront events."""

    def usage(now: datetime) -> None:
        run_usage(lake, now)

    def traffic(now: datetime) -> None:
        while not context.stopping.is_set():
            if run_traffic(lake, context.redis, now).snapshot is None:
                break

    return [
        ScheduledJob(
            name=USAGE,
            owner=OWNER,
            run=usage,
            interval_seconds=USAGE_SECONDS,
            freshness_limit_seconds=USAGE_FRESHNESS_SECONDS,
        ),
        ScheduledJob(
            name=TRAFFIC,
            owner=OWNER,
            run=traffic,
            interval_seconds=TRAFFIC_SECONDS,
            freshness_limit_seconds=TRAFFIC_FRESHNESS_SECONDS,
        ),
    ]


def _retry_at(lake: LakeContext) -> datetime:
    """When a failed export may be tried again."""
    with lake.engine.connect() as connection:
        last = run_record.last_run(connection, EXPORT)
    if last is None or last.state != "failed":
        return datetime.min.replace(tzinfo=UTC)
    return last.started_at + min(BACKOFF_LIMIT, timedelta(seconds=2.0 ** min(last.attempt, 10)))
