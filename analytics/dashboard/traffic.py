"""What visitors did in a storefront: sessions over time, the way to a purchase, the sources.

Belongs here: the answer about traffic and the dashboard's two sections of it. Does not: the
statements (queries/), the metrics (metrics/traffic.py), and who is online (Redis).

Sessions and visitors are distinct ones, so those of days do not add up to those of a week.
"""

from collections.abc import Sequence
from datetime import datetime
from math import gcd
from typing import Any

from analytics.dashboard.question import (
    OF_SALES,
    AnalyticsRequest,
    Question,
    Span,
    format_instant,
)
from analytics.engine import Engine, Row
from analytics.lake import Lake
from analytics.metrics.definitions import ratio, relative_change, select_list
from analytics.metrics.traffic import FUNNEL, TRAFFIC
from analytics.periods import bucket_starts, date_buckets

Figures = dict[str, Any]

TOP = 10
# Of each kind of source.
TOP_SOURCES = 20
NAMES = tuple(metric.name for metric in TRAFFIC)
STEPS = tuple(metric.name for metric in FUNNEL)
RATE = "conversion_rate"
_SELECT = select_list(TRAFFIC)


def build_traffic(engine: Engine, lake: Lake, request: AnalyticsRequest) -> dict[str, Any]:
    """The traffic of the request's period, compared, over time, and what it is made of."""
    question = Question(engine, lake, request)
    totals, previous = _totals(question), _previous(question)
    sources = question.ask_traffic("traffic_sources", top=TOP_SOURCES)
    return {
        **question.envelope(*OF_SALES),
        "include_bots": request.include_bots,
        "metrics": totals,
        "previous": previous,
        "change": None if previous is None else _change(totals, previous),
        "funnel": _funnel(totals),
        "series": [{"date": label, **figures} for label, figures in _series(question)],
        "sources": {
            "by_referrer": _of_kind(sources, "referrer", "referrer_host"),
            "by_campaign": _of_kind(
                sources, "campaign", "utm_source", "utm_medium", "utm_campaign"
            ),
        },
        "devices": _of_kind(sources, "device", "device"),
        "top_pages": [
            {"path": row["path"], **_counts(row, "page_views", "sessions")}
            for row in question.ask_traffic("traffic_pages", top=TOP)
        ],
        "top_products": [
            {
                **{name: row[name] for name in ("product_id", "name", "sku")},
                **_counts(row, "product_views", "cart_additions", "sessions"),
            }
            for row in question.ask_traffic("traffic_products", ("dim_products",), top=TOP)
        ],
    }


def read_traffic(question: Question) -> tuple[dict[str, Any], dict[str, Any]]:
    """The dashboard's sections `traffic` and `conversion_funnel`, without bots."""
    totals, previous = _totals(question), _previous(question)
    names = ("sessions", "visitors", "page_views", RATE)
    traffic = {
        **{name: totals[name] for name in names},
        "change": None if previous is None else _change(totals, previous)["sessions"],
        "trend": [
            {"date": label, "value": figures["sessions"]} for label, figures in _series(question)
        ],
    }
    return traffic, {"steps": _funnel(totals), RATE: totals[RATE]}


def _totals(question: Question) -> Figures:
    period = question.period
    span = (period.start_instant, period.end_instant)
    return _bucketed(question, span, [span[0]])[0]


def _previous(question: Question) -> Figures | None:
    if question.comparison is None or question.compared_until is None:
        return None
    start = question.comparison.start_instant
    return _bucketed(question, (start, question.compared_until), [start])[0]


def _series(question: Question) -> list[tuple[str, Figures]]:
    period, interval = question.period, question.interval
    starts = bucket_starts(period, interval)
    if interval == "hour":
        labels = [format_instant(start) for start in starts]
    else:
        labels = [bucket.isoformat() for bucket in date_buckets(period, interval)]
    found = _bucketed(question, (period.start_instant, period.end_instant), starts)
    return list(zip(labels, found, strict=True))


def _bucketed(question: Question, span: Span, starts: Sequence[datetime]) -> list[Figures]:
    """The figures of each bucket of the span, which starts with the first of `starts`."""
    rows: list[Row] = [dict.fromkeys(NAMES, 0) for _ in starts]
    start_epoch = int(span[0].timestamp())
    # clocks move at whole seconds; a day is compared until any
    end = -int(-span[1].timestamp() // 1) - start_epoch
    seconds = [int(instant.timestamp()) - start_epoch for instant in starts]
    slot_seconds = gcd(*seconds, end)
    if slot_seconds == 0:
        return [_figures(row) for row in rows]
    # of buckets that start together only the last has instants
    places = {second // slot_seconds: place for place, second in enumerate(seconds)}
    first_slots = list(places)
    found = question.ask_traffic(
        "traffic_by_bucket",
        span=span,
        metrics=_SELECT,
        start_epoch=start_epoch,
        first_slots=first_slots,
        end_slot=end // slot_seconds,
        slot_seconds=slot_seconds,
    )
    for row in found:
        rows[places[first_slots[row["bucket"]]]] = row
    return [_figures(row) for row in rows]


def _figures(row: Row) -> Figures:
    figures = _counts(row, *NAMES)
    return {**figures, RATE: ratio(figures["converted_sessions"], figures["sessions"])}


def _counts(row: Row, *names: str) -> dict[str, int]:
    return {name: int(row[name]) for name in names}


def _change(totals: Figures, previous: Figures) -> Figures:
    """The relative change of each; None from nothing."""
    found: Figures = {}
    for name, before in previous.items():
        now = totals[name]
        found[name] = None if before is None or now is None else relative_change(now, before)
    return found


def _funnel(totals: Figures) -> list[dict[str, Any]]:
    """Each step with its share of all sessions, and of the step before."""
    funnel = []
    before = totals[STEPS[0]]
    for name in STEPS:
        count = totals[name]
        funnel.append(
            {
                "step": name,
                "sessions": count,
                "share": ratio(count, totals[STEPS[0]]),
                "share_of_previous": ratio(count, before),
            }
        )
        before = count
    return funnel


def _of_kind(rows: list[Row], kind: str, *names: str) -> list[dict[str, Any]]:
    """The sessions by what they have in common; null: they have none."""
    return [
        {
            **{name: row[name] for name in names},
            **_counts(row, "sessions", "converted_sessions"),
            RATE: ratio(row["converted_sessions"], row["sessions"]),
        }
        for row in rows
        if row["kind"] == kind
    ]
