"""What the worker does with figures: pushes them after a snapshot and between two, keeps those of
each product in its row, and makes the daily reports.

Belongs here: the jobs of the entry-point group `shop_api.schedules`. Does not: the work
(metric_push.py, live_metrics.py, product_stats.py, report_jobs.py).
"""

import logging
from datetime import datetime

from pipelines.figures import Figures
from pipelines.live_metrics import LIVE_METRICS, LiveMetrics
from pipelines.metric_push import metric_push
from pipelines.product_stats import PRODUCT_STATS, refresh_product_stats
from pipelines.report_jobs import REPORTS, make_due_reports
from shop_api.spine.jobs import ScheduledJob, WorkerContext

# Half of what a shop's messages are apart, so that one which was early for a run waits no second.
LIVE_METRICS_INTERVAL_SECONDS = 0.5
LIVE_METRICS_FRESHNESS_SECONDS = 60.0
REPORT_INTERVAL_SECONDS = 60.0
REPORT_FRESHNESS_SECONDS = 3600.0
PRODUCT_STATS_INTERVAL_SECONDS = 30.0
PRODUCT_STATS_FRESHNESS_SECONDS = 600.0

logger = logging.getLogger(__name__)


def jobs(context: WorkerContext) -> list[ScheduledJob]:
    """The jobs; the push is hooked to whoever publishes snapshots."""
    figures = Figures(context)
    context.after_publish.append(metric_push(context, figures))

    def make_reports(now: datetime) -> None:
        made = make_due_reports(context, figures, now)
        if made:
            logger.info("made %s daily sales reports", made)

    def refresh_stats(now: datetime) -> None:
        refreshed = refresh_product_stats(context, figures, now)
        if refreshed:
            logger.debug("product figures of %s tenants moved", refreshed)

    return [
        ScheduledJob(
            name=LIVE_METRICS,
            owner="pipelines",
            run=LiveMetrics(context).run,
            interval_seconds=LIVE_METRICS_INTERVAL_SECONDS,
            wake_on_events=True,
            freshness_limit_seconds=LIVE_METRICS_FRESHNESS_SECONDS,
        ),
        ScheduledJob(
            name=PRODUCT_STATS,
            owner="pipelines",
            run=refresh_stats,
            interval_seconds=PRODUCT_STATS_INTERVAL_SECONDS,
            freshness_limit_seconds=PRODUCT_STATS_FRESHNESS_SECONDS,
        ),
        ScheduledJob(
            name=REPORTS,
            owner="pipelines",
            run=make_reports,
            interval_seconds=REPORT_INTERVAL_SECONDS,
            freshness_limit_seconds=REPORT_FRESHNESS_SECONDS,
        ),
    ]
