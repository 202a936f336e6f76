"""What a tenant asked of the API in a period: in all, over time, by endpoint.

Belongs here: cutting hours into the tenant's days and adding them up. Does not: the statements
(queries/), limits and plans. An hour belongs to the bucket in which it begins, so where a zone is
half an hour off UTC its days are, too.
"""

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from analytics.dashboard.question import (
    OF_SALES,
    AnalyticsRequest,
    Question,
    format_instant,
)
from analytics.engine import Engine
from analytics.lake import Lake
from analytics.periods import bucket_starts, date_buckets

COUNTS = ("requests", "refusals", "cache_hits", "request_bytes", "response_bytes")
MICROSECONDS = "duration_microseconds"
_SUMS = (*COUNTS, MICROSECONDS)
_SECOND = Decimal(1_000_000)


def build_usage(engine: Engine, lake: Lake, request: AnalyticsRequest) -> dict[str, Any]:
    """The usage of the request's period."""
    question = Question(engine, lake, request)
    by_endpoint = question.ask_usage("usage_by_endpoint")
    starts = bucket_starts(question.period, question.interval)
    if question.interval == "hour":
        labels = [format_instant(start) for start in starts]
    else:
        labels = [day.isoformat() for day in date_buckets(question.period, question.interval)]
    sums = [dict.fromkeys(_SUMS, 0) for _ in starts]
    for row in question.ask_usage("usage_by_hour"):
        hour = datetime.fromisoformat(f"{row['hour_key']}:00+00:00")
        _add(sums[bisect_right(starts, hour) - 1], row)
    totals = dict.fromkeys(_SUMS, 0)
    for each in sums:
        _add(totals, each)
    return {
        **question.envelope(*OF_SALES, "compared_with"),
        "totals": _figures(totals),
        "series": [
            {"date": label, **_figures(each)} for label, each in zip(labels, sums, strict=True)
        ],
        "by_endpoint": [
            {
                "method": row["method"],
                "route": row["route"],
                "status_class": row["status_class"],
                **_figures(row),
            }
            for row in by_endpoint
        ],
    }


def _add(sums: dict[str, int], row: Mapping[str, Any]) -> None:
    for name in _SUMS:
        sums[name] += int(row[name])


def _figures(row: Mapping[str, Any]) -> dict[str, Any]:
    counts: dict[str, Any] = {name: int(row[name]) for name in COUNTS}
    return {**counts, "duration_seconds": Decimal(int(row[MICROSECONDS])) / _SECOND}
