"""The statements of a question: the texts of typed definitions put together, values bound.

Belongs here: which text goes where in queries/figures.sql and queries/movement_rows.sql, and the
parameters it needs. Does not: what a question may ask (asked.py). No value of a client's is ever
part of a text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analytics.conversion import APPLIED_RATE, ORIGINAL_CURRENCY, line_cost
from analytics.dashboard.customers import reference_instant
from analytics.dashboard.question import Question
from analytics.metrics.definitions import Metric
from analytics.metrics.dimensions import (
    DIMENSIONS,
    HOUR_EXPRESSION,
    TIME,
    Dimension,
    Grain,
)
from analytics.metrics.sums import of_one_row, of_rows_where
from analytics.periods import Period, clock_stretches, floor_date
from analytics.queries import load_query
from analytics.query.asked import Asked, Filter, parse_time

# By grain: the movements, the tables they are made of, and what they look up when told to.
TABLES: dict[Grain, tuple[str, ...]] = {
    "order": ("orders", "refunds"),
    "line": ("order_lines", "refunds", "orders", "dim_products"),
    "payment": ("payments", "orders"),
    "customer": ("orders", "dim_customers"),
    "session": ("traffic_events",),
}
NEEDS: dict[Grain, tuple[str, ...]] = {
    "order": ("orders",),
    "line": ("variants", "categories", "orders"),
    "payment": ("orders",),
    "customer": (),
    "session": (),
}
# Of distinct counts: what is counted.
UNITS = {"customer": "period_customers", "session": "period_sessions"}
# The tables of what dimensions look up by order.
LOOKUPS: dict[str, tuple[str, ...]] = {
    "order_payment_methods": ("payments",),
    "order_discounts": ("discounts",),
    "order_customer_types": ("orders", "dim_customers"),
    "order_customer_segments": ("orders", "refunds"),
    "session_landings": ("traffic_events",),
}
SEGMENTS = "order_customer_segments"
SECOND = "CAST(floor(epoch(moved_at)) AS BIGINT)"
ON_THE_CLOCK = f"""JOIN clock
    ON clock.utc_hour = {SECOND} // 3600
    AND {SECOND} >= clock.first_second AND {SECOND} < clock.next_second"""
IN_PERIOD = "moved_at >= $now_start AND moved_at < $now_end"
BEFORE = "moved_at >= $before_start AND moved_at < $before_end"
# Of distinct counts: the periods that rows are counted in.
WHOLE_PART = "SELECT TRUE AS is_now, $first_at AS part_start, $last_at AS part_end"
COMPARED_PARTS = """SELECT TRUE AS is_now, $now_start AS part_start, $now_end AS part_end
    UNION ALL
    SELECT FALSE AS is_now, $before_start AS part_start, $before_end AS part_end"""
# What rows are called by, with what tells those of one instant and order apart.
ROW_IDS: dict[Grain, tuple[str, ...]] = {
    "order": ("order_id", "order_number", "line_id", "refund_id"),
    "line": ("order_id", "order_number", "line_id", "refund_id"),
    "payment": ("order_id", "order_number", "payment_id"),
    "customer": ("order_id", "order_number", "customer_id"),
    "session": ("order_id", "seen_visitor_id", "session_id"),
}
ROW_QUERIES: dict[Grain, str] = {"customer": "customer_rows", "session": "session_rows"}
# Of converted rows, from the orders they are of; no movement has columns of these names.
RATES = (ORIGINAL_CURRENCY, APPLIED_RATE)
OF_RATED_ORDER = f"""JOIN (
        SELECT order_id AS rated_order_id, {", ".join(RATES)} FROM orders
    ) AS rated ON rated.rated_order_id = movements.order_id"""
HOUR_SECONDS = 3600
TYPES = {"text": "VARCHAR[]", "whole": "BIGINT[]", "time": "BIGINT[]"}


@dataclass(frozen=True, slots=True)
class Statement:
    """A text, what to bind to it, and the files it needs."""

    text: str
    parameters: Mapping[str, Any]
    tables: tuple[str, ...]
    # from None: all before its end
    span: tuple[datetime | None, datetime]


def key_of(dimension: Dimension, interval: str) -> str:
    """The SQL of a dimension's value, for points of that length."""
    if dimension is TIME and interval == "hour":
        return HOUR_EXPRESSION
    return dimension.expression


def figures_statement(
    question: Question, asked: Asked, *, is_compared: bool, is_counted: bool = False
) -> Statement:
    """The figures by the question's dimensions, in its order; `limit + 1` rows from `offset` on,
    each with how many there are where they are counted.

    A series is not cut into pages here, for the points that are missing have a place, too.
    """
    places = ", ".join(str(number + 1) for number in range(len(asked.dimensions)))
    page = f"GROUP BY {places}" if places else ""
    parameters: dict[str, Any] = {}
    is_of_units = asked.grain in UNITS
    if places:
        page += f"\nHAVING {_has_some(asked, is_of_units)}"
    if places and not asked.is_of_time_alone:
        page += f"\nORDER BY {_order(asked)}\nLIMIT $row_limit OFFSET $row_offset"
        parameters |= {"row_limit": asked.limit + 1, "row_offset": asked.offset}
    columns = (
        [f"key_{d.name}" for d in asked.known_dimensions] if is_of_units else _keys(question, asked)
    )
    for metric in asked.known_metrics:
        columns += _figures(metric, "now", IN_PERIOD if is_compared else None, is_of_units)
        if is_compared:
            columns += _figures(metric, "before", BEFORE, is_of_units)
    if is_counted and places:
        columns.append("count(*) OVER () AS row_count")
    query = "figures_of_units" if is_of_units else "figures"
    return _statement(
        query, question, asked, is_compared, parameters, columns=_listed(columns), page=page
    )


def _has_some(asked: Asked, is_of_units: bool) -> str:
    """Whether a group has rows: those that add nothing to any metric are no rows of it."""
    some = " OR ".join(f"{expression} <> 0" for expression in _added(asked).values())
    return some if is_of_units else f"sum(CASE WHEN {some} THEN 1 ELSE 0 END) > 0"


def _keys(question: Question, asked: Asked) -> list[str]:
    return [f"{key_of(d, question.interval)} AS key_{d.name}" for d in asked.known_dimensions]


def rows_statement(question: Question, asked: Asked) -> Statement:
    """The movements behind the figures of a question, in the order they count: `limit + 1`."""
    rates, ids = _rates(question, asked), ROW_IDS[asked.grain]
    order = ["moved_at", "order_id", "kind", *(f"{name} NULLS FIRST" for name in ids[1:])]
    return _opened(
        question,
        asked,
        {"row_limit": asked.limit + 1, "row_offset": asked.offset},
        ["kind", "counted_at", *ids, *_added(asked), *rates],
        f"ORDER BY {', '.join(order)}\nLIMIT $row_limit OFFSET $row_offset",
    )


def rows_total_statement(question: Question, asked: Asked) -> Statement:
    """How many movements there are, and what they add up to."""
    sums = [f"sum({name}) AS total_{name}" for name in _added(asked)]
    return _opened(question, asked, {}, ["count(*) AS row_count", *sums], "")


def _opened(
    question: Question, asked: Asked, parameters: dict[str, Any], answer: list[str], page: str
) -> Statement:
    added = _added(asked)
    columns = [f"{expression} AS {name}" for name, expression in added.items()]
    return _statement(
        ROW_QUERIES.get(asked.grain, "movement_rows"),
        question,
        asked,
        False,
        parameters,
        columns=_listed([*columns, *_rates(question, asked)]),
        ids=", ".join(ROW_IDS[asked.grain]),
        answer=_listed(answer),
        has_some=" OR ".join(f"{name} <> 0" for name in added),
        page=page,
    )


def _rates(question: Question, asked: Asked) -> tuple[str, ...]:
    """What converted rows say of their currency; a customer has none."""
    return RATES if question.request.converted and asked.grain not in UNITS else ()


def _added(asked: Asked) -> dict[str, str]:
    """What one movement, or one customer, adds to each metric, by its column."""
    is_of_units = asked.grain in UNITS
    return {
        f"{kind}_{metric.name}": expression if is_of_units else of_one_row(expression)
        for metric in asked.known_metrics
        for kind, expression in _sides(metric)
    }


def _sides(metric: Metric) -> list[tuple[str, str]]:
    """What of a metric is summed: itself, or the two sides of a quotient."""
    if metric.numerator is None or metric.denominator is None:
        return [("amount", metric.expression)]
    return [("amount", metric.numerator), ("divisor", metric.denominator)]


def _figures(metric: Metric, part: str, condition: str | None, is_of_units: bool) -> list[str]:
    columns = []
    for kind, expression in _sides(metric):
        told = expression
        if condition and is_of_units:
            told += f" FILTER (WHERE {'is_now' if part == 'now' else 'NOT is_now'})"
        elif condition:
            told = of_rows_where(expression, condition)
        columns.append(f"{told} AS {part}_{kind}_{metric.name}")
    return columns


def _listed(columns: list[str]) -> str:
    return ",\n    ".join(columns)


def _order(asked: Asked) -> str:
    """By what was asked for, then by the dimensions: no two rows have the same place."""
    sort, is_descending = asked.order()
    direction = "DESC" if is_descending else "ASC"
    first = f"key_{sort}"
    if sort in asked.metrics:
        metric = next(m for m in asked.known_metrics if m.name == sort)
        first = f"now_amount_{sort}"
        if metric.denominator is not None:
            first = f"CAST(now_amount_{sort} AS DOUBLE) / NULLIF(now_divisor_{sort}, 0)"
    keys = [f"key_{name} NULLS LAST" for name in asked.dimensions]
    return ", ".join([f"{first} {direction} NULLS LAST", *keys])


def _statement(
    query: str,
    question: Question,
    asked: Asked,
    is_compared: bool,
    parameters: dict[str, Any],
    **texts: str,
) -> Statement:
    start, end = question.period.start_instant, question.period.end_instant
    if asked.until is not None:
        end = min(asked.until, end)
    first, period = start, question.period
    conditions = ""
    if is_compared and question.comparison is not None:
        period = Period(min(question.comparison.start, period.start), period.end, question.timezone)
        first = period.start_instant
        conditions = f"\n    AND (({IN_PERIOD}) OR ({BEFORE}))"
        parameters |= {
            "now_start": start,
            "now_end": end,
            "before_start": question.comparison.start_instant,
            "before_end": question.compared_until,
        }
    # the channel is a filter like others: segments are of all channels
    parameters |= {"first_at": first, "last_at": end, "basis": question.basis, "channel": None}
    span: tuple[datetime | None, datetime] = (first, end)
    lookups = list(
        dict.fromkeys(d.lookup for d in asked.read if d.lookup and not _is_told(d, asked))
    )
    if SEGMENTS in lookups:
        segmented_at = segments_instant(question, asked)
        parameters |= _segmented(segmented_at)
        span = (None, max(end, segmented_at))
    reads_clock = any(dimension.reads_clock for dimension in asked.read)
    if reads_clock:
        parameters |= _clock(period, question.interval)
    for number, chosen in enumerate(asked.all_filters(question.request.channel)):
        conditions += f"\n    AND {_condition(number, chosen, question.interval)}"
        parameters |= _filter_values(number, chosen, question.interval)
    needed = {dimension.needs for dimension in asked.read}
    if query == "movement_rows":
        needed.add("orders")
    parameters |= {f"needs_{name}": name in needed for name in NEEDS[asked.grain]}
    joins = [ON_THE_CLOCK] if reads_clock else []
    if query == "movement_rows" and question.request.converted:
        joins.append(OF_RATED_ORDER)
    unit = "visitor_id, session_id, is_now" if asked.grain == "session" else "order_id"
    joins += [f"LEFT JOIN {name} USING ({unit})" for name in lookups]
    if asked.grain in UNITS:
        texts |= _of_units(question, asked, is_compared)
        parameters |= _seconds(question, asked, is_compared)
    text = load_query(query)
    texts |= {
        "movements": load_query(f"movements_by_{asked.grain}"),
        "line_cost": line_cost(question.digits if question.request.converted else None),
        "clock": f",\n{load_query('clock')}" if reads_clock else "",
        "lookups": "".join(f",\n{name} AS (\n{load_query(name)})" for name in lookups),
        "join": "\n    ".join(joins),
        "conditions": conditions,
    }
    for name, inserted in texts.items():
        text = text.replace(f"{{{name}}}", inserted)
    tables = [*TABLES[asked.grain], *(table for name in lookups for table in LOOKUPS[name])]
    return Statement(text, parameters, tuple(dict.fromkeys(tables)), span)


def _of_units(question: Question, asked: Asked, is_compared: bool) -> dict[str, str]:
    """What the queries of distinct counts have beside those of sums."""
    key_names = "".join(f"key_{name}, " for name in asked.dimensions)
    part_second = "$now_second"
    if asked.grain == "session":
        # nothing of a session depends on when its part begins
        part_second = "0"
    elif TIME in asked.read:
        part_second = HOUR_EXPRESSION if question.interval == "hour" else "clock.bucket_second"
    elif is_compared:
        part_second = "CASE WHEN is_now THEN $now_second ELSE $before_second END"
    return {
        "units": load_query(UNITS[asked.grain]).replace("{key_names}", key_names),
        "keys": "".join(f"{key}, " for key in _keys(question, asked)),
        "parts": COMPARED_PARTS if is_compared else WHOLE_PART,
        "part_second": part_second,
    }


def _seconds(question: Question, asked: Asked, is_compared: bool) -> dict[str, Any]:
    """When the periods begin that who came first in them is new in; of events, which count."""
    start = question.period.start_instant
    if asked.grain == "session":
        return {"include_bots": question.request.include_bots}
    seconds: dict[str, Any] = {}
    if TIME not in asked.read:
        seconds["now_second"] = int(start.timestamp())
        if is_compared and question.comparison is not None:
            seconds["before_second"] = int(question.comparison.start_instant.timestamp())
    return seconds


def _is_told(dimension: Dimension, asked: Asked) -> bool:
    """Whether what is counted says it of itself: a payment how it was made."""
    return asked.grain == "payment" and dimension.lookup == "order_payment_methods"


def segments_instant(question: Question, asked: Asked) -> datetime:
    """As of when customers are in segments, also in figures compared with."""
    return asked.segmented_at or reference_instant(question)


def _segmented(at: datetime) -> dict[str, Any]:
    """What customer_values.sql takes; of no customer it is told what they did in a period."""
    return {"start_at": at, "end_at": at, "end_epoch": int(at.timestamp())}


def _clock(period: Period, interval: str) -> dict[str, Any]:
    stretches = clock_stretches(period)
    by_day = "day" if interval == "hour" else interval
    # when each bucket begins: in the period
    begins: dict[int, int] = {}
    for stretch in stretches:
        bucket = floor_date(stretch.day, by_day).toordinal()
        begins.setdefault(bucket, int(stretch.start.timestamp()))
    listed = [
        {
            "first_second": int(stretch.start.timestamp()),
            "next_second": int(stretch.end.timestamp()),
            "offset_seconds": stretch.offset_seconds,
            "bucket": floor_date(stretch.day, by_day).toordinal(),
            "bucket_second": begins[floor_date(stretch.day, by_day).toordinal()],
            "weekday": stretch.day.isoweekday(),
        }
        for stretch in stretches
    ]
    return {
        "stretches": listed,
        "first_hour": listed[0]["first_second"] // HOUR_SECONDS,
        "last_hour": (listed[-1]["next_second"] - 1) // HOUR_SECONDS,
    }


def _condition(number: int, chosen: Filter, interval: str) -> str:
    """Whether a value, or that there is none, is among those asked for."""
    dimension = DIMENSIONS[chosen.dimension]
    key = f"({key_of(dimension, interval)})"
    values = f"CAST($values_{number} AS {TYPES[dimension.kind]})"
    found = (
        f"(COALESCE(LIST_CONTAINS({values}, {key}), FALSE)"
        f" OR ($takes_none_{number} AND {key} IS NULL))"
    )
    return found if chosen.is_in else f"NOT {found}"


def _filter_values(number: int, chosen: Filter, interval: str) -> dict[str, Any]:
    values: list[Any] = [value for value in chosen.values if value is not None]
    if DIMENSIONS[chosen.dimension] is TIME:
        values = [parse_time(value, interval, "time") for value in values]
    return {f"values_{number}": values, f"takes_none_{number}": None in chosen.values}
