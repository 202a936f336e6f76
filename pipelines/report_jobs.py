"""Daily sales reports: which shops are due, and one report made, kept and announced.

Belongs here: when, and once per shop and day. Does not: figures and rendering (analytics/reports),
listing and downloading (the reports domain).
"""

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from analytics.lake import Snapshot
from analytics.periods import BadParameter, day_start, find_zone, hour_start
from analytics.reports.daily_sales import (
    KIND,
    DailySales,
    read_daily_sales,
    render_csv,
    render_html,
)
from pipelines.figures import Figures, Shop
from pipelines.sinks import run_record
from shop_api.kernel.ids import new_id
from shop_api.models import report_files, reports, tenants
from shop_api.spine.jobs import WorkerContext
from shop_api.spine.notifications import FAILED_REPORT, Notification, Resolution, tell
from shop_api.spine.unit_of_work import Origin, UnitOfWork, unit_of_work

REPORTS = "daily_sales_reports"
EVENT = "report_ready"
ACTOR = "system:reports"
ONE_DAY = timedelta(days=1)
# Reports of one run: thousands of shops share an hour, and each tick makes some of theirs.
BATCH = 200

# For so long a report may fail before its shop is told: a tick a minute tries it again.
FAILED_AFTER = timedelta(hours=1)

# Days that are made up for, yesterday among them: after an outage no more than a week.
DAYS_KEPT = 7

# Shops and days on which they existed that have no report yet, of the days that are due in their
# timezone. The newest days come first, and among them nobody always: shops that fail do not stand
# in front of the others for good.
DUE = text("""
SELECT t.id, t.name, t.currency, t.timezone, due.day, due.ends_at, due.hour
FROM tenants t
JOIN unnest(
    CAST(:timezones AS text[]), CAST(:hours AS integer[]), CAST(:days AS date[]),
    CAST(:ends AS timestamptz[])
) AS due (timezone, hour, day, ends_at) ON due.timezone = t.timezone
    AND due.hour = coalesce((t.settings->>'report_hour')::integer, :hour)
WHERE t.created_at < due.ends_at
    AND NOT EXISTS (
        SELECT FROM reports r
        WHERE r.tenant_id = t.id AND r.kind = :kind AND r.period_from = due.day
            AND r.period_to = due.day + 1
    )
ORDER BY due.day DESC, random()
LIMIT :batch
""")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DueReport:
    """A shop whose report of `day` is to be made."""

    shop: Shop
    day: date
    # when the day was over
    ends_at: datetime
    # when the clocks of the shop showed its hour
    due_at: datetime

    @property
    def key(self) -> str:
        """Of the notification that it fails."""
        return f"{FAILED_REPORT}:{KIND}:{self.day}"


def make_due_reports(context: WorkerContext, figures: Figures, now: datetime) -> int:
    """Make the reports that are due; how many were made.

    A report waits until the snapshot holds all of its day: where its shop is held back, until it is
    no more. A shop whose report fails is logged and tried at the next tick; it does not hold up the
    others.
    """
    due = find_due(context, now)
    snapshot, held = figures.snapshot_with_holds() if due else (None, {})
    if snapshot is None:
        return 0
    of_shops = {shop_id: snapshot.held_at(as_of) for shop_id, as_of in held.items()}
    ready = [
        (report, of_shop)
        for report in due
        if report.ends_at <= (of_shop := of_shops.get(report.shop.id, snapshot)).as_of
    ]
    if not ready:
        return 0
    with run_record.job_recorded(context.exporter_engine, REPORTS, now, snapshot.as_of) as run:
        failed = _make_each(context, figures, ready, run)
        if failed:
            raise RuntimeError(f"{failed} of {len(ready)} reports could not be made; see the log")
    return run.rows.get(reports.name, 0)


def _make_each(
    context: WorkerContext,
    figures: Figures,
    ready: list[tuple[DueReport, Snapshot]],
    run: run_record.Run,
) -> int:
    """Make each report of the snapshot as it is to its shop; how many could not be made."""
    failed = 0
    for report, snapshot in ready:
        share = run.share(str(report.shop.id))
        try:
            files = make_report(context, figures, report, snapshot, run.started_at)
        except Exception:
            failed += 1
            share.state = "failed"
            logger.exception("no report of %s for %s", report.day, report.shop.id)
            if run.started_at >= report.due_at + FAILED_AFTER:
                _tell_failed(context, report, run.started_at)
            continue
        if files is not None:
            share.rows += 1
            share.files += len(files)
            share.size_bytes += sum(len(content) for content in files.values())
            run.rows[reports.name] = run.rows.get(reports.name, 0) + 1
    return failed


def find_due(context: WorkerContext, now: datetime) -> list[DueReport]:
    """The reports that are missing and whose hour has come."""
    with context.exporter_engine.connect() as connection:
        report_hour = func.coalesce(
            tenants.c.settings["report_hour"].as_integer(), context.settings.report_hour
        )
        found = connection.execute(select(tenants.c.timezone, report_hour).distinct()).all()
        days = [
            (timezone, hour, day, ends_at)
            for timezone, hour in found
            for day, ends_at in due_days(timezone, now, hour)
        ]
        parameters = {
            "timezones": [timezone for timezone, _, _, _ in days],
            "hours": [hour for _, hour, _, _ in days],
            "hour": context.settings.report_hour,
            "days": [day for _, _, day, _ in days],
            "ends": [ends_at for _, _, _, ends_at in days],
            "kind": KIND,
            "batch": BATCH,
        }
        rows = connection.execute(DUE, parameters).all()
    return [
        DueReport(
            Shop(*row[:4]),
            row.day,
            row.ends_at,
            hour_start(row.day + ONE_DAY, row.hour, _zone_of(row.timezone)),
        )
        for row in rows
    ]


def due_days(timezone: str, now: datetime, report_hour: int) -> list[tuple[date, datetime]]:
    """The days whose report is due in a timezone, and their ends. Yesterday is when its hour has
    come."""
    zone = _zone_of(timezone)
    wall = now.astimezone(zone).replace(tzinfo=None)
    last_day = (wall - timedelta(hours=report_hour)).date() - ONE_DAY
    days = [last_day - timedelta(days=back) for back in range(DAYS_KEPT)]
    return [(day, day_start(day + ONE_DAY, zone)) for day in days]


def _zone_of(timezone: str) -> ZoneInfo:
    """Of a timezone that is not known UTC: its shops are due on some day too, and making their
    reports says what is wrong with them."""
    try:
        return find_zone(timezone)
    except BadParameter:
        return find_zone("UTC")


def make_report(
    context: WorkerContext,
    figures: Figures,
    due: DueReport,
    snapshot: Snapshot,
    now: datetime,
) -> dict[str, bytes] | None:
    """Render and keep one report; its files, None when another worker has kept it meanwhile."""
    request = figures.request(due.shop, snapshot, now)
    report = read_daily_sales(figures.engine, figures.lake, request, due.shop.name, due.day)
    files = {"html": render_html(report), "csv": render_csv(report)}
    origin = Origin(due.shop.id, ACTOR, f"report-{KIND}-{due.day}", now)
    with unit_of_work(context.engine, context.waker, origin) as work:
        tell(work, Resolution(due.key))
        is_kept = keep_report(work, report, files, snapshot)
    return files if is_kept else None


def _tell_failed(context: WorkerContext, due: DueReport, now: datetime) -> None:
    """Tell the shop, once, that its report fails."""
    origin = Origin(due.shop.id, ACTOR, f"report-{KIND}-{due.day}", now)
    failed = Notification(
        kind=FAILED_REPORT,
        level="error",
        title=f"No sales report of {due.day:%-d %B %Y}",
        message="It could not be made, and is tried again by itself for a week.",
        key=due.key,
        action_url="/api/v1/reports",
        data={"kind": KIND, "day": due.day.isoformat()},
    )
    with unit_of_work(context.engine, context.waker, origin) as work:
        tell(work, failed)


def keep_report(
    work: UnitOfWork, report: DailySales, files: dict[str, bytes], snapshot: Snapshot
) -> bool:
    """Insert the report with its files and announce it, once per shop and day."""
    report_id = new_id(work.now)
    values = {
        "tenant_id": work.tenant_id,
        "id": report_id,
        "kind": KIND,
        "period_from": report.day,
        "period_to": report.day + ONE_DAY,
        "title": report.title,
        "snapshot": str(snapshot.id),
        "as_of": snapshot.as_of,
        "created_at": work.now,
    }
    statement = insert(reports).values(values).on_conflict_do_nothing().returning(reports.c.id)
    if work.session.execute(statement).first() is None:
        return False
    work.session.execute(
        insert(report_files),
        [
            {
                "tenant_id": work.tenant_id,
                "report_id": report_id,
                "format": form,
                "content": content,
            }
            for form, content in files.items()
        ],
    )
    work.append(
        EVENT,
        "report",
        report_id,
        {
            "report_id": str(report_id),
            "kind": KIND,
            "title": report.title,
            "period": {
                "from": report.day.isoformat(),
                "to": (report.day + ONE_DAY).isoformat(),
            },
            "formats": sorted(files),
        },
    )
    return True
