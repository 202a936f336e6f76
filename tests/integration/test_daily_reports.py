"""Daily sales reports: what they show, when they are due, and that each is made once."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
import redis
from sqlalchemy import insert, select, update

from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake
from analytics.reports.daily_sales import (
    DailySales,
    format_figure,
    format_percent,
    read_daily_sales,
    render_csv,
    render_html,
)
from pipelines.figure_jobs import jobs
from pipelines.figures import Figures
from pipelines.metric_push import EVENT as METRICS_EVENT
from pipelines.metric_push import metric_push
from pipelines.report_jobs import due_days, find_due, make_due_reports
from shop_api.db.tenancy import tenant_session
from shop_api.models import (
    events,
    lake_quarantine,
    lake_snapshots,
    notifications,
    report_files,
    reports,
    tenants,
)
from shop_api.spine.jobs import WorkerContext
from tests.factories import golden_shop
from tests.factories.lake import write_lake
from tests.factories.rows import make_tenant
from tests.fixtures.stores import Database

DAY = date(2026, 3, 7)
CREATED_AT = datetime(2026, 3, 7, 12, tzinfo=UTC)
# 06:30 on 8 March in New York, after the clocks moved
MORNING = datetime(2026, 3, 8, 10, 30, tzinfo=UTC)
D = Decimal


@pytest.fixture
def shop_id(database: Database) -> UUID:
    """A tenant whose lake holds the golden shop, the only one that reports are due of."""
    database.server.execute("UPDATE tenants SET created_at = '2100-01-01'", database.name)
    return make_tenant(
        database, timezone=golden_shop.TIMEZONE, name="Tea & <Co>", created_at=CREATED_AT
    )


@pytest.fixture
def context(
    database: Database,
    redis_client: redis.Redis,
    redis_url: str,
    shop_id: UUID,
    tmp_path: Path,
) -> WorkerContext:
    """A worker's means, over a lake published at noon of 15 April."""
    settings = database.settings(tmp_path, redis_url)
    snapshot = write_lake(Path(settings.lake_location), {str(shop_id): golden_shop.TABLES})
    with database.exporter_engine.begin() as connection:
        connection.execute(lake_snapshots.delete())
        connection.execute(
            insert(lake_snapshots).values(
                as_of=snapshot.as_of,
                versions=dict(snapshot.versions),
                xid=1,
                transactions="1:1:",
                system_identifier=1,
            )
        )
    return WorkerContext(
        settings, database.engine, database.exporter_engine, database.waker, redis_client
    )


@pytest.fixture
def figures(context: WorkerContext) -> Iterator[Figures]:
    made = Figures(context)
    yield made
    made.engine.close()


def read_report(tmp_path: Path, day: date) -> DailySales:
    snapshot = write_lake(tmp_path, {golden_shop.TENANT: golden_shop.TABLES})
    engine = Engine(str(tmp_path))
    request = AnalyticsRequest(
        golden_shop.TENANT, snapshot, golden_shop.TIMEZONE, "USD", 2, MORNING
    )
    report = read_daily_sales(engine, Lake(str(tmp_path)), request, "Tea & <Co>", day)
    engine.close()
    return report


def test_page_stands_alone_and_shows_the_day(tmp_path: Path) -> None:
    page = render_html(read_report(tmp_path, date(2026, 3, 8))).decode()
    assert "Sales of 8 March 2026" in page
    assert "Tea &amp; &lt;Co&gt;" in page
    assert "<td>Gross sales</td>" not in page
    row = re.search(r">Gross sales</td>(.*?)</tr>", page)
    assert row is not None
    assert re.findall(r'"figure">([^<]*)<', row[1]) == ["16.00", "25.50", "−37.25 %"]
    assert re.search(r'<time datetime="[^"]+Z">\d+ \w+ 2026, \d\d:\d\d UTC</time>', page)
    assert "by order date" in page
    assert "<td>Cash</td>" in page
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    drawing = page[page.index("<svg") : page.index("</svg>") + 6]
    bars = [e for e in ET.fromstring(drawing).iter() if e.get("clip-path")]
    assert len(bars) >= 30


def test_same_figures_same_page(tmp_path: Path) -> None:
    report = read_report(tmp_path, DAY)
    assert render_html(report) == render_html(report)


def test_csv_has_the_thirty_days(tmp_path: Path) -> None:
    text = render_csv(read_report(tmp_path, date(2026, 3, 8))).decode()
    assert text.endswith("\r\n")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [rows[0]["date"], rows[-1]["date"]] == ["2026-02-07", "2026-03-08"]
    by_day = {row["date"]: row for row in rows}
    assert by_day["2026-03-07"]["total_sales"] == "19.20"
    assert by_day["2026-03-08"]["gross_sales"] == "16.00"
    assert by_day["2026-03-01"]["average_order_value"] == ""
    assert {row["currency"] for row in rows} == {"USD"}


def test_figures_as_people_read_them() -> None:
    assert format_figure(D("1234567.50")) == "1,234,567.50"
    assert format_figure(None) == "–"
    assert format_figure(D("-0.4987"), "ratio") == "−49.87 %"
    assert format_percent(D("-0.3725")) == "−37.25 %"
    assert format_percent(None) == "–"


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 3, 8, 9, 59, tzinfo=UTC), None),
        (datetime(2026, 3, 8, 10, 0, tzinfo=UTC), DAY),
        (datetime(2026, 3, 9, 3, 59, tzinfo=UTC), DAY),
        (datetime(2026, 3, 9, 4, 0, tzinfo=UTC), DAY),
        (datetime(2026, 3, 9, 9, 59, tzinfo=UTC), DAY),
    ],
)
def test_due_from_its_hour(
    context: WorkerContext, shop_id: UUID, now: datetime, day: date | None
) -> None:
    due = {report.shop.id: report.day for report in find_due(context, now)}
    assert due.get(shop_id) == day


def test_due_from_the_hour_of_the_shop(context: WorkerContext, shop_id: UUID) -> None:
    with tenant_session(context.engine, shop_id) as session:
        session.execute(update(tenants).values(settings={"report_hour": 8}))
    for minute, day in ((30, None), (119, None), (120, DAY)):
        at = MORNING + timedelta(minutes=minute - 30)
        due = {report.shop.id: report.day for report in find_due(context, at)}
        assert due.get(shop_id) == day, at


@pytest.mark.parametrize(
    ("timezone", "hour", "day", "due_at"),
    [
        # five hours after midnight, and seven; an hour that is skipped, and one shown twice
        ("America/New_York", 6, date(2026, 3, 8), datetime(2026, 3, 8, 10, tzinfo=UTC)),
        ("America/New_York", 6, date(2026, 11, 1), datetime(2026, 11, 1, 11, tzinfo=UTC)),
        ("America/New_York", 2, date(2026, 3, 8), datetime(2026, 3, 8, 7, tzinfo=UTC)),
        ("America/New_York", 1, date(2026, 11, 1), datetime(2026, 11, 1, 5, tzinfo=UTC)),
        # midnight is skipped
        ("America/Sao_Paulo", 0, date(2018, 11, 4), datetime(2018, 11, 4, 3, tzinfo=UTC)),
        ("America/Sao_Paulo", 6, date(2018, 11, 4), datetime(2018, 11, 4, 8, tzinfo=UTC)),
    ],
)
def test_due_by_the_clocks_of_the_wall(
    context: WorkerContext, shop_id: UUID, timezone: str, hour: int, day: date, due_at: datetime
) -> None:
    with tenant_session(context.engine, shop_id) as session:
        changes = {"timezone": timezone, "created_at": due_at - timedelta(hours=20)}
        session.execute(update(tenants).values(settings={"report_hour": hour}, **changes))
    assert find_due(context, due_at - timedelta(seconds=1)) == []
    [due] = find_due(context, due_at)
    assert (due.day, due.due_at) == (day - timedelta(days=1), due_at)


@pytest.mark.parametrize(("minute", "day"), [(59, 18), (60, 19)])
def test_due_by_the_clocks_of_the_lake(minute: int, day: int) -> None:
    """Vancouver is on UTC-7 all year since 2026: six is at 13:00, and days end at 07:00."""
    at = datetime(2026, 11, 20, 12, tzinfo=UTC) + timedelta(minutes=minute)
    due = due_days("America/Vancouver", at, report_hour=6)
    assert due[0] == (date(2026, 11, day), datetime(2026, 11, day + 1, 7, tzinfo=UTC))
    assert len(due) == 7


def test_no_report_of_days_before_the_shop_was(database: Database, context: WorkerContext) -> None:
    new = make_tenant(database, created_at=MORNING)
    assert new not in {report.shop.id for report in find_due(context, MORNING)}
    next_day = {report.shop.id for report in find_due(context, MORNING + timedelta(days=1))}
    assert new in next_day


def test_made_once_kept_and_announced(
    context: WorkerContext, figures: Figures, shop_id: UUID
) -> None:
    assert make_due_reports(context, figures, MORNING) >= 1
    assert make_due_reports(context, figures, MORNING + timedelta(minutes=1)) == 0
    with tenant_session(context.engine, shop_id) as session:
        rows = session.execute(select(reports)).all()
        files = {f.format: f.content for f in session.execute(select(report_files))}
        told = session.execute(select(events).where(events.c.type == "report_ready")).all()
    assert [(row.period_from, row.period_to) for row in rows] == [(DAY, date(2026, 3, 8))]
    assert rows[0].title == "Sales of 7 March 2026"
    assert set(files) == {"html", "csv"}
    assert b"25.50" in files["html"]
    assert [event.subject_id for event in told] == [rows[0].id]
    assert told[0].data["period"] == {"from": "2026-03-07", "to": "2026-03-08"}


def test_two_workers_keep_one_report(
    context: WorkerContext, figures: Figures, shop_id: UUID
) -> None:
    """Both found it due; the second to commit keeps nothing and tells nobody."""
    from pipelines.report_jobs import make_report

    due = next(report for report in find_due(context, MORNING) if report.shop.id == shop_id)
    snapshot = figures.snapshot()
    assert snapshot is not None
    assert make_report(context, figures, due, snapshot, MORNING)
    assert not make_report(context, figures, due, snapshot, MORNING)
    with tenant_session(context.engine, shop_id) as session:
        assert len(session.execute(select(reports.c.id)).all()) == 1
        assert len(session.execute(select(report_files.c.format)).all()) == 2
        told = select(events.c.type).where(events.c.type == "report_ready")
        assert len(session.execute(told).all()) == 1


def test_waits_until_the_snapshot_holds_the_whole_day(
    context: WorkerContext, figures: Figures, shop_id: UUID
) -> None:
    after_the_snapshot = datetime(2026, 4, 16, 12, 0, tzinfo=UTC)
    make_due_reports(context, figures, after_the_snapshot)
    assert days_reported(context, shop_id) == [date(2026, 4, day) for day in range(9, 15)]


def test_a_shop_that_is_held_back_waits_and_another_is_told(
    database: Database, context: WorkerContext, figures: Figures, shop_id: UUID
) -> None:
    """Its figures are of the evening of the ninth: of that day they are not whole."""
    other = make_tenant(database, timezone=golden_shop.TIMEZONE, created_at=CREATED_AT)
    never = make_tenant(database, timezone=golden_shop.TIMEZONE, created_at=CREATED_AT)
    held_at = datetime(2026, 3, 10, 1, tzinfo=UTC)
    columns = {"attempt": 1, "retry_at": MORNING, "cause": "unreadable", "created_at": MORNING}
    with database.exporter_engine.begin() as connection:
        for tenant_id, as_of in ((shop_id, held_at), (never, None)):
            hold = insert(lake_quarantine).values(tenant_id=tenant_id, as_of=as_of, **columns)
            connection.execute(hold)
    days = [date(2026, 3, day) for day in range(7, 11)]
    three_days_on = MORNING + timedelta(days=3)
    try:
        assert make_due_reports(context, figures, three_days_on) == 2 + 4
        assert days_reported(context, shop_id) == days[:2]
        assert days_reported(context, other) == days
        assert days_reported(context, never) == []
        with tenant_session(context.engine, shop_id) as session:
            assert {*session.execute(select(reports.c.as_of)).scalars()} == {held_at}
    finally:
        with database.exporter_engine.begin() as connection:
            connection.execute(lake_quarantine.delete())
    assert make_due_reports(context, figures, three_days_on) == 2 + 4
    assert days_reported(context, shop_id) == days_reported(context, never) == days


def days_reported(context: WorkerContext, shop_id: UUID) -> list[date]:
    with tenant_session(context.engine, shop_id) as session:
        return sorted(session.execute(select(reports.c.period_from)).scalars())


def test_missed_days_are_made_up_for(
    context: WorkerContext, figures: Figures, shop_id: UUID
) -> None:
    make_due_reports(context, figures, MORNING)
    make_due_reports(context, figures, MORNING + timedelta(days=3))
    assert days_reported(context, shop_id) == [date(2026, 3, day) for day in range(7, 11)]
    make_due_reports(context, figures, MORNING + timedelta(days=20))
    assert days_reported(context, shop_id)[4:] == [date(2026, 3, day) for day in range(21, 28)]


def test_a_shop_in_no_known_zone_does_not_hold_up_the_others(
    database: Database, context: WorkerContext, figures: Figures, shop_id: UUID
) -> None:
    lost = make_tenant(database, timezone="Nowhere-3", created_at=CREATED_AT)
    with pytest.raises(RuntimeError):
        make_due_reports(context, figures, MORNING)
    assert days_reported(context, shop_id) == [DAY]
    assert days_reported(context, lost) == []


def test_a_shop_is_told_once_that_its_report_fails_and_that_it_is_made_after_all(
    context: WorkerContext, figures: Figures, shop_id: UUID
) -> None:
    files = {
        path: path.read_bytes()
        for path in Path(context.settings.lake_location).rglob(f"tenant_id={shop_id}/**/*.parquet")
    }
    assert files
    for path in files:
        path.write_bytes(b"the disk lost it")

    def told() -> list[tuple[object, ...]]:
        columns = notifications.c
        with tenant_session(context.engine, shop_id) as session:
            pushed = select(events.c.data["resolved_at"].as_string()).where(
                events.c.type == "system_notification"
            )
            rows = session.execute(
                select(columns.kind, columns.level, columns.data, columns.resolved_at)
            ).all()
            return [*map(tuple, rows), *map(tuple, session.execute(pushed).all())]

    # within the hour after its time: it may yet be made
    with pytest.raises(RuntimeError, match="1 of 1 reports"):
        make_due_reports(context, figures, MORNING)
    assert told() == []
    failed = ("failed_report", "error", {"kind": "daily_sales", "day": DAY.isoformat()}, None)
    for hours in (2, 3):
        with pytest.raises(RuntimeError, match="1 of 1 reports"):
            make_due_reports(context, figures, MORNING + timedelta(hours=hours))
        assert told() == [failed, (None,)]
    for path, content in files.items():
        path.write_bytes(content)
    assert make_due_reports(context, figures, MORNING + timedelta(hours=4)) == 1
    over = told()
    assert over[0] == (*failed[:3], MORNING + timedelta(hours=4))
    assert [one[0] is None for one in over[1:]] == [True, False]


def test_a_shop_whose_figures_fail_does_not_silence_the_others(
    database: Database,
    context: WorkerContext,
    figures: Figures,
    shop_id: UUID,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lost = make_tenant(database, timezone="Nowhere-3")
    told = select(events.c.sequence).where(events.c.type == METRICS_EVENT)
    metric_push(context, figures)(frozenset({lost, shop_id}), MORNING)
    with tenant_session(context.engine, shop_id) as session:
        assert len(session.execute(told).all()) == 1
    with tenant_session(context.engine, lost) as session:
        assert session.execute(told).all() == []
    assert str(lost) in caplog.text


def test_after_a_snapshot_changed_shops_are_told_their_figures(
    context: WorkerContext, figures: Figures, shop_id: UUID
) -> None:
    metric_push(context, figures)(frozenset({shop_id}), MORNING)
    with tenant_session(context.engine, shop_id) as session:
        told = session.execute(select(events).where(events.c.type == METRICS_EVENT)).all()
    assert [event.subject_type for event in told] == ["dashboard"]
    data = told[0].data
    assert data["metrics"] == {
        "total_revenue": 16.00,
        "orders_today": 2,
        "units_today": 4,
        "average_order_value": 8.00,
        "visitors_online": 0,
    }
    assert data["as_of"] == "2026-04-15T12:00:00.000000Z"
    assert data["currency"] == "USD"
    assert data["period"] == {"from": "2026-03-08", "to": "2026-03-09"}


def test_the_worker_makes_reports_refreshes_figures_and_pushes(context: WorkerContext) -> None:
    assert [job.name for job in jobs(context)] == [
        "live_metrics",
        "product_stats",
        "daily_sales_reports",
    ]
    assert len(context.after_publish) == 1
