"""The sales metrics of a period: totals, series, and what they are compared with.

Belongs here: choosing between rollup and facts, filling buckets without sales, derived figures.
Does not: the statements (queries/) and the metrics themselves (metrics/).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import gcd
from typing import Any

from analytics.dashboard.question import Question, Span, format_instant
from analytics.engine import Row
from analytics.metrics.definitions import (
    EXACT,
    SALES,
    average,
    money,
    ratio,
    relative_change,
    select_list,
)
from analytics.periods import Period, bucket_starts, date_buckets

Figures = dict[str, Any]

_NAMES = tuple(metric.name for metric in SALES)
_MONEY = frozenset(metric.name for metric in SALES if metric.unit == "money")
_SELECT = select_list(SALES)


@dataclass(frozen=True, slots=True)
class Sales:
    """Figures by metric name: of the whole period, before it, and per bucket in order."""

    totals: Figures
    # None when nothing is compared
    previous: Figures | None
    # (date, or first instant of the hour; figures)
    series: list[tuple[str, Figures]]

    def change(self, name: str) -> Any:
        """The relative change of a metric against the period compared with; None from nothing."""
        if self.previous is None:
            return None
        before = self.previous[name]
        now = self.totals[name]
        return None if before is None or now is None else relative_change(now, before)


def read_sales(question: Question) -> Sales:
    """The sales of the question's period, from the rollup wherever it can answer."""
    if question.request.converted:
        return _sales_from_facts(question)
    rows = question.ask_rollup("sales_by_day", _SELECT)
    digits = question.digits
    if any(row["is_other_timezone"] for row in rows):
        return _sales_from_facts(question)
    previous = _previous(question, [row for row in rows if row["part"] == "previous"])
    current = [row for row in rows if row["part"] == "current"]
    if question.interval == "hour":
        series = _hour_series(question)
    else:
        series = _date_series(question, question.period, current)
    return Sales(
        _finish(_add(current), digits),
        previous,
        [(label, _finish(figures, digits)) for label, figures in series],
    )


def _previous(question: Question, rows: list[Row]) -> Figures | None:
    """What is compared with: its whole days from the rollup, part of the last from facts."""
    days, until = question.compared_days, question.compared_until
    if days is None or until is None:
        return None
    parts: list[Row | None] = [*rows]
    if days.end_instant < until:
        parts += _fact_rows(question, (days.end_instant, until), [days.end_instant])
    return _finish(_add(parts), question.digits)


def _sales_from_facts(question: Question) -> Sales:
    """All from facts: the tenant's timezone changed and its rollup is not yet made anew, or what
    is asked is converted, order by order."""
    period, digits = question.period, question.digits
    if question.interval == "hour":
        series = _hour_series(question)
    else:
        starts = bucket_starts(period, question.interval)
        labels = [bucket.isoformat() for bucket in date_buckets(period, question.interval)]
        rows = _fact_rows(question, (period.start_instant, period.end_instant), starts)
        series = [(label, _figures(row)) for label, row in zip(labels, rows, strict=True)]
    previous = None
    if question.comparison and question.compared_until:
        start = question.comparison.start_instant
        rows = _fact_rows(question, (start, question.compared_until), [start])
        previous = _finish(_add(rows), digits)
    return Sales(
        _finish(_add(figures for _, figures in series), digits),
        previous,
        [(label, _finish(figures, digits)) for label, figures in series],
    )


def _fact_rows(question: Question, span: Span, starts: Sequence[datetime]) -> list[Row | None]:
    """The sums of the facts of each bucket of the span; None for one without any."""
    rows: list[Row | None] = [None] * len(starts)
    start_epoch = int(span[0].timestamp())
    # clocks move at whole seconds
    *seconds, end = (int(instant.timestamp()) - start_epoch for instant in (*starts, span[1]))
    # the longest slot that all buckets are made of, as a rule an hour
    slot_seconds = gcd(*seconds, end)
    if slot_seconds == 0:
        return rows
    # of buckets that start together only the last has instants
    places = {second // slot_seconds: place for place, second in enumerate(seconds)}
    first_slots = list(places)
    found = question.ask_facts(
        "sales_by_bucket",
        ("orders", "refunds"),
        span=span,
        metrics=_SELECT,
        basis=question.basis,
        start_epoch=start_epoch,
        first_slots=first_slots,
        end_slot=end // slot_seconds,
        slot_seconds=slot_seconds,
    )
    for row in found:
        rows[places[first_slots[row["bucket"]]]] = row
    return rows


def _hour_series(question: Question) -> list[tuple[str, Figures]]:
    starts = bucket_starts(question.period, "hour")
    span = (question.period.start_instant, question.period.end_instant)
    rows = _fact_rows(question, span, starts)
    return [(format_instant(start), _figures(row)) for start, row in zip(starts, rows, strict=True)]


def _date_series(
    question: Question, period: Period, rows: Iterable[Row]
) -> list[tuple[str, Figures]]:
    by_bucket: dict[date, Row] = {row["bucket"]: row for row in rows}
    return [
        (bucket.isoformat(), _figures(by_bucket.get(bucket)))
        for bucket in date_buckets(period, question.interval)
    ]


def _figures(row: Mapping[str, Any] | None) -> Figures:
    return dict.fromkeys(_NAMES, 0) if row is None else {name: row[name] for name in _NAMES}


def _add(rows: Iterable[Mapping[str, Any] | None]) -> Figures:
    """Sales metrics are additive: the figure of the whole is the sum over its buckets."""
    totals: Figures = dict.fromkeys(_NAMES, 0)
    for row in rows:
        if row is not None:
            for name in _NAMES:
                totals[name] = EXACT.add(totals[name], row[name])
    return totals


def _finish(figures: Figures, digits: int) -> Figures:
    """Amounts in the currency's digits, and the quotients, which are not additive."""
    finished: Figures = {
        name: money(value, digits) if name in _MONEY else int(value)
        for name, value in figures.items()
    }
    costed_sales = EXACT.add(figures["gross_profit"], figures["cost_of_goods"])
    finished["profit_margin"] = ratio(figures["gross_profit"], costed_sales)
    finished["cost_coverage"] = ratio(costed_sales, figures["net_sales"])
    finished["average_order_value"] = average(
        EXACT.subtract(figures["gross_sales"], figures["discounts"]), figures["orders"], digits
    )
    return finished
