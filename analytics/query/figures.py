"""Answers to questions of a client's own making: metrics by dimensions, compared, in pages.

Belongs here: from rows to the values of an answer, and the points of a series without sales. Does
not: the statements (statement.py), by what a figure is opened (opening.py) and HTTP.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from analytics.dashboard.question import AnalyticsRequest, Question, format_instant
from analytics.engine import Engine, Row
from analytics.lake import Lake
from analytics.metrics.definitions import Metric, average, money, ratio, relative_change
from analytics.periods import date_buckets, hour_buckets
from analytics.query.asked import Asked, Value, check
from analytics.query.opening import opened_before, opened_by
from analytics.query.statement import figures_statement

# The dimensions whose values have names in the catalogue.
NAMED = ("product", "category")
# By dimension, of what has an id.
Names = dict[str, dict[str, str]]


def build_figures(
    engine: Engine,
    lake: Lake,
    request: AnalyticsRequest,
    asked: Asked,
    *,
    is_counted: bool = False,
) -> dict[str, Any]:
    """The whole and its parts; `has_next` says whether there are more parts than the page has, and
    where they are counted `row_count` how many all pages have.

    The points of a series are compared as a whole only: each of them lies in another place of the
    period before.
    """
    check(asked, request.channel)
    question = Question(engine, lake, request)
    is_compared = question.comparison is not None
    whole = asked.without_dimensions()
    totals = ask_figures(question, whole, is_compared=is_compared)[0]
    by_time = "time" in asked.dimensions
    rows: list[Row] = [totals]
    if asked.dimensions:
        is_compared = is_compared and not by_time
        rows = ask_figures(question, asked, is_compared=is_compared, is_counted=is_counted)
        if asked.is_of_time_alone:
            rows = _series(question, asked, rows)
    page = rows[: asked.limit]
    parts = [_part(question, asked, row) for row in page]
    _name(question, asked, parts)
    counted = {"row_count": _count(question, asked, rows)} if is_counted else {}
    return {
        **question.envelope(),
        **counted,
        "metrics": list(asked.metrics),
        "dimensions": list(asked.dimensions),
        "totals": _part(question, whole, totals, with_dimensions=False),
        "data": parts,
        "has_next": len(rows) > asked.limit,
    }


def ask_figures(
    question: Question, asked: Asked, *, is_compared: bool, is_counted: bool = False
) -> list[Row]:
    """The sums of a question, as figures.sql gives them: one row more than its page has."""
    statement = figures_statement(question, asked, is_compared=is_compared, is_counted=is_counted)
    return question.ask_movements(
        statement.text, statement.tables, statement.span, statement.parameters
    )


def stream_figures(
    question: Question, asked: Asked, *, is_compared: bool
) -> Iterator[tuple[list[Row], Names]]:
    """The rows of a question from its `offset` on, a part at a time, with the names of each part.

    A series, which is short, comes at once and with the points without sales.
    """
    most = asked.limit
    names: Names = {dimension: {} for dimension in NAMED if dimension in asked.dimensions}
    if asked.is_of_time_alone:
        rows = ask_figures(question, asked, is_compared=is_compared)
        yield _series(question, asked, rows)[:most], names
        return
    statement = figures_statement(question, asked, is_compared=is_compared)
    for rows in question.stream_movements(
        statement.text, statement.tables, statement.span, statement.parameters
    ):
        part, most = rows[:most], most - len(rows)
        for dimension, known in names.items():
            unknown = {row[f"key_{dimension}"] for row in part} - {None} - known.keys()
            known |= _ask_names(question, dimension, unknown)
        yield part, names
        if most <= 0:
            return


def _count(question: Question, asked: Asked, rows: list[Row]) -> int:
    """How many rows all pages have."""
    if not asked.dimensions:
        return 1
    if asked.is_of_time_alone:
        return len(_points(question, asked.dimensions[0]))
    if not rows and asked.offset:
        # past the last row none tells how many there are
        first = replace(asked, limit=1, offset=0)
        is_compared = question.comparison is not None and "time" not in asked.dimensions
        rows = ask_figures(question, first, is_compared=is_compared, is_counted=True)
    return int(rows[0]["row_count"]) if rows else 0


def _series(question: Question, asked: Asked, rows: list[Row]) -> list[Row]:
    """Every point in time, those without sales too, in the order asked for, from `offset` on."""
    name = asked.dimensions[0]
    key = f"key_{name}"
    found = {row[key]: row for row in rows}
    points: list[Row] = [found.get(point, {key: point}) for point in _points(question, name)]
    sort, is_descending = asked.order()
    if sort in asked.metrics:
        metric = next(m for m in asked.known_metrics if m.name == sort)
        values = [(_value(metric, "now", row, question.digits), row) for row in points]
        told = [pair for pair in values if pair[0] is not None]
        told.sort(key=lambda pair: pair[0], reverse=is_descending)
        points = [row for _, row in told] + [row for value, row in values if value is None]
    elif is_descending:
        points.reverse()
    return points[asked.offset : asked.offset + asked.limit + 1]


def _points(question: Question, name: str) -> list[int]:
    """Each value that a dimension of the clock has in the period, in order."""
    if name == "hour_of_day":
        return list(range(24))
    if name == "weekday":
        return list(range(1, 8))
    if question.interval == "hour":
        return [int(hour.timestamp()) for hour in hour_buckets(question.period)]
    return [day.toordinal() for day in date_buckets(question.period, question.interval)]


def _part(
    question: Question, asked: Asked, row: Row, *, with_dimensions: bool = True
) -> dict[str, Any]:
    """The figures of one row, what they are of, and by what they are opened."""
    values = {name: read_key(question, name, row) for name in asked.dimensions}
    part: dict[str, Any] = {"dimensions": values, "labels": {}} if with_dimensions else {}
    now = read_figures(question, asked, "now", row)
    is_compared = question.comparison is not None and "time" not in asked.dimensions
    before = read_figures(question, asked, "before", row) if is_compared else None
    change = relative_changes(now, before) if before else None
    return {
        **part,
        "metrics": now,
        "previous": before,
        "change": change,
        "rows": opened_by(question, asked, values),
        "previous_rows": opened_before(question, asked, values) if before else None,
    }


def read_key(question: Question, name: str, row: Row) -> Value:
    """A dimension's value in a row, as an answer has it."""
    if name == "time":
        point = read_point(question, row)
        return format_instant(point) if isinstance(point, datetime) else point.isoformat()
    value: Value = row[f"key_{name}"]
    return value


def read_point(question: Question, row: Row) -> date | datetime:
    """When a point of a series begins: its first day, of an hour its first instant."""
    if question.interval == "hour":
        return datetime.fromtimestamp(row["key_time"], UTC)
    return date.fromordinal(row["key_time"])


def read_figures(question: Question, asked: Asked, part: str, row: Row) -> dict[str, Any]:
    """The metrics of a row, `now` or `before`."""
    return {
        metric.name: _value(metric, part, row, question.digits) for metric in asked.known_metrics
    }


def _value(metric: Metric, part: str, row: Mapping[str, Any], digits: int) -> Any:
    """A figure of a row; where nothing moved the sums are none, and zero."""
    amount = row.get(f"{part}_amount_{metric.name}") or 0
    divisor = row.get(f"{part}_divisor_{metric.name}") or 0
    return figure(metric, amount, divisor, digits)


def figure(metric: Metric, amount: Any, divisor: Any, digits: int) -> Any:
    """A metric of its sums: an amount in the currency's digits, a count, or a quotient."""
    if metric.denominator is None:
        return money(amount, digits) if metric.unit == "money" else int(amount)
    return average(amount, divisor, digits) if metric.unit == "money" else ratio(amount, divisor)


def relative_changes(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The relative change of each metric; None where either has none, and from nothing."""
    return {name: _change(now[name], before[name]) for name in now}


def _change(now: Any, before: Any) -> Any:
    return None if now is None or before is None else relative_change(now, before)


def _name(question: Question, asked: Asked, parts: list[dict[str, Any]]) -> None:
    """Put the names beside the ids of what has one in the catalogue."""
    names = {
        dimension: _ask_names(
            question, dimension, {part["dimensions"][dimension] for part in parts} - {None}
        )
        for dimension in NAMED
        if dimension in asked.dimensions
    }
    for part in parts:
        part["labels"] = {
            dimension: found.get(part["dimensions"][dimension])
            for dimension, found in names.items()
        }


def _ask_names(question: Question, dimension: str, ids: Iterable[str]) -> dict[str, str]:
    rows = question.ask_names(f"{dimension}_names", sorted(ids)) if ids else []
    return {row["id"]: row["name"] for row in rows}
