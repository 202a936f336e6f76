"""The sales report: sales metrics by what a shop chooses, as a page or as a file of all rows.

Belongs here: its groupings, the metrics it has unless told, its columns in a file. Does not: how
figures are computed and compared (query/) and how files are written (formats.py).
"""

from dataclasses import dataclass, replace
from typing import Any

from analytics.contracts.contract import Column, ColumnType
from analytics.dashboard.answers import REVENUE_METRICS
from analytics.dashboard.question import AnalyticsRequest, Question
from analytics.engine import Engine, Row
from analytics.lake import Lake
from analytics.metrics.dimensions import ASKABLE, DIMENSIONS, SALES, Dimension, is_of_sales
from analytics.metrics.metric import Metric
from analytics.periods import INTERVALS, BadParameter
from analytics.query.asked import Asked, Filter, check
from analytics.query.figures import (
    NAMED,
    build_figures,
    read_figures,
    read_point,
    relative_changes,
    stream_figures,
)
from analytics.reports.formats import EVERY_ROW, ReportFile, Table, write_file

# Points of time by their length, and every other dimension.
SALES_GROUPS: tuple[str, ...] = (
    *INTERVALS,
    *(name for name, known in DIMENSIONS.items() if name != "time" and SALES in known.sources),
)
DEFAULT_GROUPS = ("day",)
SALES_METRICS: tuple[str, ...] = tuple(m.name for m in ASKABLE.values() if is_of_sales(m))
DEFAULT_LIMIT = 100
METRIC_TYPES: dict[str, ColumnType] = {"money": "money_sum", "ratio": "money_sum"}


@dataclass(frozen=True, slots=True)
class SalesOptions:
    """Which rows, with which metrics, in which order."""

    group_by: tuple[str, ...] = DEFAULT_GROUPS
    # None: those of revenue that are known by all groupings
    metrics: tuple[str, ...] | None = None
    filters: tuple[Filter, ...] = ()
    sort: str | None = None
    is_descending: bool | None = None
    # None: 100 of a page, all of a file
    limit: int | None = None
    offset: int = 0


def build_sales_page(
    engine: Engine, lake: Lake, request: AnalyticsRequest, options: SalesOptions
) -> dict[str, Any]:
    """A page of the report, and the totals of all its rows."""
    asked, request = _asked(request, options)
    limit = DEFAULT_LIMIT if options.limit is None else options.limit
    page = replace(asked, limit=limit)
    answer = build_figures(engine, lake, request, page, is_counted=True)
    del answer["dimensions"], answer["has_next"]
    count = answer.pop("row_count")
    return {
        **answer,
        "group_by": list(options.group_by),
        "pagination": {
            "offset": options.offset,
            "limit": limit,
            "total": count,
            "has_more": options.offset + len(answer["data"]) < count,
        },
    }


def build_sales_file(
    engine: Engine, lake: Lake, request: AnalyticsRequest, options: SalesOptions, form: str
) -> ReportFile:
    """The report as a file; all rows unless a limit is told."""
    asked, request = _asked(request, options)
    question = Question(engine, lake, request)
    asked = replace(asked, limit=EVERY_ROW if options.limit is None else options.limit)
    is_compared = question.comparison is not None and "time" not in asked.dimensions
    table = Table(
        "Sales",
        _columns(asked, question, is_compared),
        question.digits,
        request.snapshot.as_of,
        (
            [_file_row(row, names, asked, question, is_compared) for row in rows]
            for rows, names in stream_figures(question, asked, is_compared=is_compared)
        ),
    )
    period = question.period
    groups = "-".join(options.group_by)
    name = f"sales-by-{groups}-{period.start}-{period.last_day}-{request.currency}"
    return write_file(name, form, table)


def _asked(request: AnalyticsRequest, options: SalesOptions) -> tuple[Asked, AnalyticsRequest]:
    """The report as a question of metrics by dimensions."""
    times = [name for name in options.group_by if name in INTERVALS]
    if len(times) > 1:
        raise BadParameter("group_by", f"one length of time, not {' and '.join(times)}")
    dimensions = tuple("time" if name in INTERVALS else name for name in options.group_by)
    asked = Asked(
        metrics=options.metrics or (),
        dimensions=dimensions,
        filters=options.filters,
        sort="time" if options.sort in times else options.sort,
        is_descending=options.is_descending,
        offset=options.offset,
    )
    known = tuple(
        name for name in REVENUE_METRICS if all(d.is_known_of(ASKABLE[name]) for d in asked.read)
    )
    asked = asked if options.metrics else replace(asked, metrics=known)
    check(asked)
    return asked, replace(request, interval=times[0] if times else None)


def _columns(asked: Asked, question: Question, is_compared: bool) -> tuple[Column, ...]:
    """What each row of the file has: dimensions and their names, the currency, the metrics."""
    columns: list[Column] = []
    for dimension in asked.known_dimensions:
        columns.append(
            Column(
                dimension.name, _type(dimension, question), dimension.description, is_nullable=True
            )
        )
        if dimension.name in NAMED:
            columns.append(
                Column(f"{dimension.name}_name", "text", "Its name now.", is_nullable=True)
            )
    columns.append(Column("currency", "text", "ISO 4217 currency of the amounts."))
    columns += [_metric_column(metric, metric.name, metric.title) for metric in asked.known_metrics]
    if is_compared:
        for metric in asked.known_metrics:
            before, change = f"previous_{metric.name}", f"{metric.name}_change"
            columns.append(_metric_column(metric, before, "In the period compared with."))
            columns.append(Column(change, "money_sum", "The relative change.", is_nullable=True))
    return tuple(columns)


def _type(dimension: Dimension, question: Question) -> ColumnType:
    if dimension.kind == "time":
        return "instant" if question.interval == "hour" else "date"
    return "integer" if dimension.kind == "whole" else "text"


def _metric_column(metric: Metric, name: str, description: str) -> Column:
    kind = METRIC_TYPES.get(metric.unit, "integer")
    return Column(name, kind, description, is_nullable=metric.denominator is not None)


def _file_row(
    row: Row,
    names: dict[str, dict[str, str]],
    asked: Asked,
    question: Question,
    is_compared: bool,
) -> Row:
    values: Row = {"currency": question.request.currency}
    for name in asked.dimensions:
        values[name] = read_point(question, row) if name == "time" else row[f"key_{name}"]
        if name in names:
            values[f"{name}_name"] = names[name].get(values[name])
    now = read_figures(question, asked, "now", row)
    values |= now
    if is_compared:
        before = read_figures(question, asked, "before", row)
        values |= {f"previous_{name}": value for name, value in before.items()}
        changes = relative_changes(now, before)
        values |= {f"{name}_change": value for name, value in changes.items()}
    return values
