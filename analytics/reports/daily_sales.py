"""The daily sales report: one day beside the day before, and the 30 days that end with it.

Belongs here: which figures it has, and its forms, HTML and CSV. Does not: when it is made and where
it is kept (pipelines), and the drawing (chart.py).
"""

import csv
import io
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from analytics.dashboard.answers import build_dashboard, build_revenue
from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake
from analytics.metrics.definitions import METRICS
from analytics.metrics.metric import Unit
from analytics.periods import date_period
from analytics.reports.chart import draw_days

KIND = "daily_sales"
HISTORY_DAYS = 30
ONE_DAY = timedelta(days=1)
MINUS = "−"

HEADLINES = ("total_sales", "net_sales", "orders", "average_order_value")
CSV_METRICS = (
    "orders",
    "units",
    "gross_sales",
    "discounts",
    "returns",
    "net_sales",
    "shipping",
    "taxes",
    "total_sales",
    "average_order_value",
)


@dataclass(frozen=True, slots=True)
class DailySales:
    """The figures of the report."""

    shop: str
    day: date
    # the answers of analytics.dashboard.answers: the day's, and the 30 days'
    dashboard: dict[str, Any]
    revenue: dict[str, Any]
    history: dict[str, Any]

    @property
    def title(self) -> str:
        return f"Sales of {self.day:%-d %B %Y}"


def read_daily_sales(
    engine: Engine, lake: Lake, request: AnalyticsRequest, shop: str, day: date
) -> DailySales:
    """The report's figures; of `request` only tenant, snapshot and currency matter."""
    of_day = replace(
        request,
        period=None,
        start=day,
        end=day + ONE_DAY,
        interval="day",
        compare="previous_period",
        # the day is over, and so is compared whole
        now=date_period(day, day + ONE_DAY, request.timezone).end_instant,
    )
    of_history = replace(of_day, start=day - timedelta(days=HISTORY_DAYS - 1), compare="none")
    return DailySales(
        shop,
        day,
        build_dashboard(engine, lake, of_day),
        build_revenue(engine, lake, of_day),
        build_revenue(engine, lake, of_history),
    )


def render_html(report: DailySales) -> bytes:
    """The report as one page that needs nothing else: styles and chart are inside."""
    trend = [
        (date.fromisoformat(point["date"]), point["total_sales"])
        for point in report.history["series"]
    ]
    page = _templates().get_template("daily_sales.html")
    return page.render(
        report=report,
        revenue=report.revenue,
        dashboard=report.dashboard,
        metrics=METRICS,
        headlines=HEADLINES,
        chart=draw_days(trend, report.revenue["currency"], "Total sales"),
    ).encode()


def render_csv(report: DailySales) -> bytes:
    """One row per day of the 30, exact amounts with a decimal point; UTF-8, CRLF (RFC 4180)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("date", "currency", *CSV_METRICS))
    for point in report.history["series"]:
        figures = ("" if point[name] is None else point[name] for name in CSV_METRICS)
        writer.writerow((point["date"], report.revenue["currency"], *figures))
    return text.getvalue().encode()


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("analytics.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = format_figure
    environment.filters["percent"] = format_percent
    environment.filters["minute"] = format_minute
    environment.filters["words"] = format_words
    return environment


def format_figure(value: Decimal | int | None, unit: Unit = "count") -> str:
    """−12345.6 as −12,345.6, of a ratio 0.4987 as 49.87 %; nothing as a dash."""
    if value is None:
        return "–"
    text = f"{value * 100:,.2f} %" if unit == "ratio" else f"{value:,}"
    return text.replace("-", MINUS)


def format_percent(ratio: Decimal | None) -> str:
    """0.1234 as +12.34 %; nothing as a dash."""
    return "–" if ratio is None else f"{ratio * 100:+,.2f} %".replace("-", MINUS)


def format_minute(instant: str) -> str:
    """2026-03-09T07:00:00.000000Z as 9 March 2026, 07:00 UTC."""
    return f"{datetime.fromisoformat(instant).astimezone(UTC):%-d %B %Y, %H:%M} UTC"


def format_words(name: str) -> str:
    """order_date as order date."""
    return name.replace("_", " ")
