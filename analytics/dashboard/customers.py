"""What customers do: who ordered, who came back and when, what they are worth.

Belongs here: the customers' answer and its sections, from rows to values. Does not: the statements
(queries/), the definitions (metrics/) and the report with a row per customer (reports/).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from analytics.dashboard.breakdowns import customers_until_now, reaches_now
from analytics.dashboard.question import AnalyticsRequest, Question, Span, format_instant
from analytics.engine import Engine, Row
from analytics.lake import Lake
from analytics.metrics.customers import (
    COHORT_CELL,
    CUSTOMER_VALUES,
    CUSTOMERS,
    DAY_SECONDS,
    MEAN_REPEAT_INTERVAL,
    MEDIAN_REPEAT_INTERVAL,
    REPEAT_INTERVALS,
    quotient_sides,
)
from analytics.metrics.definitions import added, average, money, ratio, relative_change, select_list
from analytics.metrics.segments import SEGMENTS
from analytics.periods import BadParameter, Period, bucket_starts, date_buckets, local_date

Figures = dict[str, Any]

# Rows of one matrix: sixteen years of months, nearly four of weeks.
COHORT_LIMIT = 200
DAYS_QUANTUM = Decimal("0.0001")

_COUNTS = tuple(metric.name for metric in CUSTOMERS)
_RATE = "returning_customer_rate"


def build_customers(engine: Engine, lake: Lake, request: AnalyticsRequest) -> dict[str, Any]:
    """Customers of the period, compared and over time; cohorts, segments, worth and intervals."""
    question = Question(engine, lake, request)
    cohorts = read_cohorts(question)
    segments = read_segments(question)
    return {
        **question.envelope("unconverted_orders"),
        # what customers are worth is of all they ordered
        "unconverted_orders": (
            question.count_unconverted(reaches_back=True) if request.converted else None
        ),
        **_read_counts(question),
        "cohorts": cohorts,
        "rfm": segments,
        "lifetime_value": {
            "customers": segments["customers"],
            "net_sales": segments["net_sales"],
            "lifetime_value": average(
                segments["net_sales"], segments["customers"], question.digits
            ),
        },
        "repeat_interval": read_repeat_interval(question),
    }


def reference_instant(question: Question) -> datetime:
    """Until when what is told of customers is told: the period's end, or now while it runs."""
    return min(question.period.end_instant, question.request.now)


def _read_counts(question: Question) -> dict[str, Any]:
    metrics = _count(question, None)
    previous = None
    if question.comparison and question.compared_until:
        previous = _count(question, (question.comparison.start_instant, question.compared_until))
    return {
        "metrics": metrics,
        "previous": previous,
        "change": None if previous is None else _changes(metrics, previous),
        "series": _series(question),
    }


def _count(question: Question, span: Span | None) -> Figures:
    row = customers_until_now(question) if span is None else None
    if row is not None:
        # files without guests are known by their statistics, and not read
        return _figures({**row, **question.ask_facts("guest_orders", ("orders",))[0]})
    tables = ("orders", "dim_customers")
    rows = question.ask_facts("customers", tables, span=span, metrics=select_list(CUSTOMERS))
    return _figures(rows[0])


def _figures(row: Mapping[str, Any] | None) -> Figures:
    counts = {name: int(row[name]) if row else 0 for name in _COUNTS}
    return {**counts, _RATE: ratio(counts["returning_customers"], counts["customers"])}


def _changes(now: Figures, before: Figures) -> Figures:
    return {
        name: None
        if now[name] is None or before[name] is None
        else relative_change(now[name], before[name])
        for name in now
    }


def _series(question: Question) -> list[dict[str, Any]]:
    """The figures of each bucket; who ordered in two buckets is a customer of both."""
    period, interval = question.period, question.interval
    starts = bucket_starts(period, interval)
    if interval == "hour":
        labels = [format_instant(start) for start in starts]
    else:
        labels = [day.isoformat() for day in date_buckets(period, interval)]
    buckets, places = _buckets(starts, period.end_instant)
    rows = question.ask_facts(
        "customers_by_bucket",
        ("orders", "dim_customers"),
        metrics=select_list(CUSTOMERS),
        **buckets,
    )
    found = {places[row["bucket"]]: row for row in rows}
    return [{"date": label, **_figures(found.get(at))} for at, label in enumerate(labels)]


def _buckets(starts: list[datetime], end: datetime) -> tuple[dict[str, Any], list[int]]:
    """Buckets as statements take them, and the place among `starts` of each.

    Of buckets that start together, where the zone skipped a date, only the last has instants.
    """
    # clocks move at whole seconds
    by_second = {int(start.timestamp()): place for place, start in enumerate(starts)}
    end_second = int(end.timestamp())
    first, last = int(starts[0].timestamp()) // DAY_SECONDS, end_second // DAY_SECONDS
    parameters = {
        "first_seconds": list(by_second),
        "end_second": end_second,
        "days": list(range(first, last + 1)),
    }
    return parameters, list(by_second.values())


def read_cohorts(question: Question) -> dict[str, Any]:
    """Customers by the month (or week, where `interval` is one) of their first order ever.

    A cohort is whose first order ever, in any currency and channel, lies in what the period has of
    the month. Its `customers` are those of them with an order in the answer's currency and channel
    by the reference instant. The cell `periods_since` n is of the n-th month after the first: its
    `retained_customers` placed an order in it that is not cancelled, `retention_rate` is their
    share of the cohort's customers, and `net_sales` is what counts in it by the answer's basis, of
    all of the cohort's customers; what counts before a first order (one that was cancelled) counts
    with it. So `net_sales` of a cohort is the sum over its cells, and `lifetime_value` that per
    customer. Cells whose month is not over at the reference instant say so: `is_complete`.
    Cohorts begin with the first that has customers; between them and after are empty ones, too.
    """
    until = reference_instant(question)
    interval = "week" if question.request.interval == "week" else "month"
    answer: dict[str, Any] = {"interval": interval, "until": format_instant(until), "data": []}
    if until <= question.period.start_instant:
        return answer
    zone_day = local_date(until - timedelta(microseconds=1), question.zone)
    seen = Period(question.period.start, zone_day + timedelta(days=1), question.timezone)
    starts = bucket_starts(seen, interval)
    labels = [day.isoformat() for day in date_buckets(seen, interval)]
    ends = [*starts[1:], _bucket_end(seen, interval)]
    buckets, places = _buckets(starts, seen.end_instant)
    rows = question.ask_facts(
        "cohorts",
        ("orders", "refunds", "dim_customers"),
        span=(question.period.start_instant, until),
        metrics=select_list(COHORT_CELL),
        basis=question.basis,
        **buckets,
    )
    cells = {(places[row["cohort"]], places[row["bucket"]]): row for row in rows}
    first = min((cohort for cohort, _ in cells), default=len(labels))
    if len(labels) - first > COHORT_LIMIT:
        raise BadParameter(
            "interval",
            f"there are more than {COHORT_LIMIT} cohorts: ask for months or a shorter period",
        )
    is_complete = [end <= until for end in ends]
    answer["data"] = [
        _cohort(question, labels, is_complete, place, cells) for place in range(first, len(labels))
    ]
    return answer


def _bucket_end(period: Period, interval: str) -> datetime:
    """When the last bucket of the period would be over."""
    longer = Period(period.start, period.end + timedelta(days=31), period.timezone)
    buckets = date_buckets(longer, interval)
    after = next(day for day in buckets if day >= period.end)
    return Period(period.start, after, period.timezone).end_instant


def _cohort(
    question: Question,
    labels: list[str],
    is_complete: list[bool],
    place: int,
    cells: Mapping[tuple[int, int], Row],
) -> dict[str, Any]:
    own = [cells.get((place, bucket)) for bucket in range(place, len(labels))]
    customers = next((int(row["customers"]) for row in own if row), 0)
    sold = added(row["cohort_net_sales"] for row in own if row)
    return {
        "cohort": labels[place],
        "customers": customers,
        "net_sales": money(sold, question.digits),
        "lifetime_value": average(sold, customers, question.digits),
        "cells": [
            {
                "periods_since": since,
                "date": labels[place + since],
                "retained_customers": int(row["retained_customers"]) if row else 0,
                "retention_rate": ratio(row["retained_customers"] if row else 0, customers),
                "net_sales": money(row["cohort_net_sales"] if row else 0, question.digits),
                "is_complete": is_complete[place + since],
            }
            for since, row in enumerate(own)
        ],
    }


def read_segments(question: Question) -> dict[str, Any]:
    """Who has ordered by the reference instant, by segment; every segment is present."""
    until = reference_instant(question)
    rows = segments_until_now(question) or question.ask_facts(
        "customer_segments",
        ("orders", "refunds"),
        reaches_back=True,
        **_of_segments(question),
    )
    found = {row["segment"]: row for row in rows}
    customers = sum(int(row["segment_customers"]) for row in rows)
    return {
        "until": format_instant(until),
        "customers": customers,
        "net_sales": money(added(row["segment_net_sales"] for row in rows), question.digits),
        "segments": [
            {
                "segment": each.name,
                "title": each.title,
                "rule": each.rule,
                **_segment_figures(found.get(each.name), customers, question.digits),
            }
            for each in SEGMENTS
        ],
    }


def segments_until_now(question: Question) -> list[Row]:
    """The segments by the customers' own rows; none where these do not tell.

    Of a million orders that is a quarter of the CPU that reading the orders takes.
    """
    if not reaches_now(question):
        return []
    tables = ("dim_customers", "daily_sales")
    return question.ask_facts("segments_until_now", tables, **_of_segments(question))


def _of_segments(question: Question) -> dict[str, Any]:
    until = reference_instant(question)
    return {
        "span": (question.period.start_instant, until),
        "metrics": select_list(CUSTOMER_VALUES),
        "basis": question.basis,
        "end_epoch": int(until.timestamp()),
    }


def _segment_figures(row: Row | None, customers: int, digits: int) -> Figures:
    own = int(row["segment_customers"]) if row else 0
    return {
        "customers": own,
        "customer_share": ratio(own, customers),
        "orders": int(row["segment_orders"]) if row else 0,
        "net_sales": money(row["segment_net_sales"] if row else 0, digits),
    }


def read_repeat_interval(question: Question) -> dict[str, Any]:
    """How long customers took to order again, of orders in the period."""
    sides = quotient_sides(MEAN_REPEAT_INTERVAL, MEDIAN_REPEAT_INTERVAL)
    row = question.ask_facts(
        "repeat_intervals",
        ("orders",),
        span=(question.period.start_instant, question.period.end_instant),
        reaches_back=True,
        metrics=f"{select_list((REPEAT_INTERVALS,))},\n    {sides}",
    )[0]
    return {
        "repeat_orders": int(row["repeat_intervals"]),
        "mean_days": _days(row, MEAN_REPEAT_INTERVAL.name),
        "median_days": _days(row, MEDIAN_REPEAT_INTERVAL.name),
    }


def _days(row: Row, name: str) -> Decimal | None:
    denominator = row[f"{name}_denominator"]
    if not denominator:
        return None
    days = Decimal(int(row[f"{name}_numerator"])) / Decimal(int(denominator))
    return days.quantize(DAYS_QUANTUM, rounding=ROUND_HALF_UP)
