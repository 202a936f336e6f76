"""What holds of every question to every shop: its figures are what plain Python counts, its parts
add up to the whole, and the rows behind a figure add up to it."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.dashboard.answers import REVENUE_METRICS, build_revenue
from analytics.dashboard.customers import build_customers
from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot
from analytics.metrics.dimensions import ASKABLE, CUSTOMERS, DIMENSIONS, SALES, is_of_sales
from analytics.periods import day_start, find_zone
from analytics.query.asked import Asked, Filter
from analytics.query.figures import build_figures
from analytics.query.opening import read_values, written
from analytics.query.rows import build_rows
from tests.factories import customer_oracle
from tests.factories.lake import write_lake
from tests.factories.random_shops import (
    END,
    Tables,
    catalogue,
    dimension_of,
    metrics_of,
    movements,
    orders_told,
    shops,
)

TENANT = "0198c0de-0000-7000-8000-00000000000a"
ZONES = ["America/Sao_Paulo", "Australia/Lord_Howe", "America/New_York", "Asia/Kathmandu"]
PERIODS = [(date(2017, 10, 1), date(2017, 10, 17)), (date(2017, 10, 14), date(2017, 12, 1))]
BASES = ("order_date", "event_date")
ADDITIVE = tuple(n for n, m in ASKABLE.items() if is_of_sales(m) and m.is_additive)
BY_LINE = tuple(name for name in ADDITIVE if DIMENSIONS["product"].is_known_of(ASKABLE[name]))

# Each example writes a lake, so they are few, and the same in every run.
BOUNDED = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
# Up to two dimensions, and what figures they are asked for.
OF_SALES = [name for name, dimension in DIMENSIONS.items() if SALES in dimension.sources]
OF_CUSTOMERS = [name for name, dimension in DIMENSIONS.items() if CUSTOMERS in dimension.sources]
COUNTS = ("customers", "new_customers", "returning_customers", "returning_customer_rate")
dimensions = st.lists(st.sampled_from(OF_SALES), max_size=3, unique=True)


class Place:
    """A shop's lake, and how it is asked."""

    def __init__(self, engine: Engine, lake: Lake, snapshot: Snapshot, timezone: str) -> None:
        self.engine, self.lake, self.snapshot, self.timezone = engine, lake, snapshot, timezone

    def request(self, **changes: Any) -> AnalyticsRequest:
        values: dict[str, Any] = {
            "tenant_id": TENANT,
            "snapshot": self.snapshot,
            "timezone": self.timezone,
            "currency": "BRL",
            "currency_digits": 2,
            "now": END,
            "compare": "none",
            **changes,
        }
        return AnalyticsRequest(**values)

    def figures(self, asked: Asked, **changes: Any) -> dict[str, Any]:
        return build_figures(self.engine, self.lake, self.request(**changes), asked)

    def rows(self, asked: Asked, **changes: Any) -> dict[str, Any]:
        return build_rows(self.engine, self.lake, self.request(**changes), asked)


@contextmanager
def serve(tables: Tables, timezone: str) -> Iterator[Place]:
    """The lake of a shop whose rollup is of another zone: all its figures come from the facts."""
    with tempfile.TemporaryDirectory() as folder:
        rollup = [
            {
                "basis": "order_date",
                "day": date(2017, 10, 1),
                "currency": "BRL",
                "channel": "web",
                "timezone": "Antarctica/Troll",
            }
        ]
        rows = {**tables, "dim_products": catalogue(), "daily_sales": rollup}
        snapshot = write_lake(Path(folder), {TENANT: rows})
        engine = Engine(folder)
        yield Place(engine, Lake(folder), snapshot, timezone)
        engine.close()


def counted(
    tables: Tables, timezone: str, basis: str, period: tuple[date, date], by_line: bool
) -> list[dict[str, Any]]:
    """The movements of a period in BRL."""
    zone = find_zone(timezone)
    start, end = (day_start(day, zone) for day in period)
    told = orders_told(tables, customer_oracle.Asked(start, min(end, END), basis, timezone))
    return [
        row | told[row["order_id"]]
        for row in movements(tables, basis, by_line=by_line)
        if row["currency"] == "BRL" and start <= row["at"] < end
    ]


def expected_parts(
    rows: list[dict[str, Any]], names: list[str], timezone: str
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The metrics by the values of the dimensions."""
    zone = find_zone(timezone)
    parts: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    metrics = metrics_for(names)
    for row in rows:
        adds = metrics_of([row])
        if any(adds[name] for name in metrics):
            parts[tuple(dimension_of(row, name, zone) for name in names)].append(row)
    return {key: metrics_of(of_part) for key, of_part in parts.items()}


def metrics_for(names: list[str]) -> tuple[str, ...]:
    return BY_LINE if any(DIMENSIONS[name].grain == "line" for name in names) else ADDITIVE


@BOUNDED
@given(shops(), st.sampled_from(ZONES), st.lists(dimensions, min_size=6, max_size=6))
def test_figures_are_what_plain_python_counts(
    tables: Tables, timezone: str, questions: list[list[str]]
) -> None:
    with serve(tables, timezone) as place:
        for basis in BASES:
            for start, end in PERIODS:
                common = {"basis": basis, "start": start, "end": end, "interval": "day"}
                for names in [[], *questions]:
                    metrics = metrics_for(names)
                    by_line = metrics is BY_LINE
                    asked = Asked(metrics=metrics, dimensions=tuple(names), limit=1000)
                    answer = place.figures(asked, **common)
                    rows = counted(tables, timezone, basis, (start, end), by_line)
                    parts = expected_parts(rows, names, timezone)
                    found = {tuple(p["dimensions"].values()): p["metrics"] for p in answer["data"]}
                    assert parts.keys() <= found.keys() or not names
                    if names and not asked.is_of_time_alone:
                        assert parts.keys() == found.keys()
                    for key, figures in found.items():
                        told = parts.get(key) or metrics_of([])
                        assert figures == {name: told[name] for name in metrics}, (names, key)
                    whole = metrics_of(rows)
                    totals = answer["totals"]["metrics"]
                    assert totals == {name: whole[name] for name in metrics}
                    for name in metrics:
                        assert sum(part[name] for part in found.values()) == totals[name]


@BOUNDED
@given(shops(), st.sampled_from(ZONES))
def test_the_whole_and_its_series_are_what_revenue_says(tables: Tables, timezone: str) -> None:
    with serve(tables, timezone) as place:
        for basis in BASES:
            for start, end in PERIODS:
                for interval in ("hour", "day", "week", "month"):
                    common = {"basis": basis, "start": start, "end": end, "interval": interval}
                    request = place.request(**common, compare="previous_period")
                    revenue = build_revenue(place.engine, place.lake, request)
                    asked = Asked(metrics=REVENUE_METRICS, dimensions=("time",), limit=5000)
                    answer = place.figures(asked, **common, compare="previous_period")
                    assert answer["totals"]["metrics"] == revenue["metrics"]
                    assert answer["totals"]["previous"] == revenue["previous"]
                    assert answer["totals"]["change"] == revenue["change"]
                    series = [
                        {"date": part["dimensions"]["time"], **part["metrics"]}
                        for part in answer["data"]
                    ]
                    assert series == revenue["series"]


@BOUNDED
@given(
    shops(),
    st.sampled_from(ZONES),
    st.lists(st.tuples(dimensions, st.integers(0, 10**6)), min_size=8, max_size=8),
)
def test_the_rows_behind_a_figure_add_up_to_it(
    tables: Tables, timezone: str, questions: list[tuple[list[str], int]]
) -> None:
    with serve(tables, timezone) as place:
        for number, (names, chosen) in enumerate(questions):
            start, end = PERIODS[number % 2]
            common: dict[str, Any] = {
                "basis": BASES[number // 2 % 2],
                "start": start,
                "end": end,
                "interval": ("hour", "day", "week", "month")[number % 4],
            }
            metrics = metrics_for(names)
            asked = Asked(metrics=metrics, dimensions=tuple(names), limit=1000)
            # while the last day runs: compared with as much of the one before
            now = END - timedelta(days=chosen % 30, seconds=chosen)
            common["now"] = now
            if chosen % 2:
                common |= {
                    "start": now.date() - timedelta(days=20),
                    "end": now.date() + timedelta(days=1),
                }
            answer = place.figures(asked, **common, compare="previous_period")
            parts = [answer["totals"], *answer["data"]]
            part = parts[chosen % len(parts)]
            for figures, parameters in (
                (part["metrics"], part["rows"]),
                (part["previous"], part["previous_rows"]),
            ):
                if parameters is None:
                    assert figures is None
                    continue
                opened = open_rows(place, parameters, metrics)
                assert opened["row_count"] == len(opened["data"])
                assert opened["figures"] == figures
                for name, figure in figures.items():
                    assert sum(row["amounts"][name] for row in opened["data"]) == figure
                orders = {order["order_id"]: order["number"] for order in tables["orders"]}
                for row in opened["data"]:
                    assert orders[row["order_id"]] == row["order_number"]


def open_rows(
    place: Place, parameters: list[tuple[str, str]], metrics: tuple[str, ...]
) -> dict[str, Any]:
    """The rows that the parameters of a `rows` URL name."""
    named = dict(parameters)
    assert named["snapshot"] == str(place.snapshot.id)
    return place.rows(
        _opening(parameters, metrics),
        basis=named["basis"],
        currency=named["currency"],
        start=date.fromisoformat(named["from"]),
        end=date.fromisoformat(named["to"]),
        interval=named.get("interval"),
    )


def _opening(parameters: list[tuple[str, str]], metrics: tuple[str, ...]) -> Asked:
    """The question that the parameters of a `rows` URL ask."""
    named = dict(parameters)
    until, segmented_at = named.get("until"), named.get("segmented_at")
    filters = []
    for name, dimension in DIMENSIONS.items():
        for key, is_in in ((name, True), (f"not_{name}", False)):
            values = [
                int(value) if value and dimension.kind == "whole" else value
                for parameter, text in parameters
                if parameter == key
                for value in read_values(text)
            ]
            if values:
                filters.append(Filter(name, tuple(values), is_in))
    return Asked(
        metrics=metrics,
        filters=tuple(filters),
        limit=1000,
        until=datetime.fromisoformat(until) if until else None,
        segmented_at=datetime.fromisoformat(segmented_at) if segmented_at else None,
    )


@given(st.lists(st.none() | st.text(min_size=1), min_size=1))
def test_values_are_read_as_they_were_written(values: list[str | None]) -> None:
    assert read_values(written(values)) == values


@BOUNDED
@given(shops(), st.sampled_from(ZONES), st.sampled_from(["product", "country", "weekday"]))
def test_what_is_filtered_and_the_rest_make_the_whole(
    tables: Tables, timezone: str, name: str
) -> None:
    metrics = metrics_for([name])
    values: tuple[Any, ...] = {
        "product": ("tea", None),
        "country": ("BR", "IT"),
        "weekday": (1, 2, 7),
    }[name]
    with serve(tables, timezone) as place:
        for basis in BASES:
            common = {"basis": basis, "start": date(2017, 9, 1), "end": date(2018, 1, 1)}
            whole, some, rest = (
                place.figures(Asked(metrics=metrics, filters=chosen), **common)["totals"]["metrics"]
                for chosen in ((), (Filter(name, values),), (Filter(name, values, is_in=False),))
            )
            for metric in metrics:
                assert some[metric] + rest[metric] == whole[metric]
            cut = place.figures(Asked(metrics=metrics, dimensions=(name,), limit=1000), **common)
            told = [p["metrics"] for p in cut["data"] if p["dimensions"][name] in values]
            for metric in metrics:
                assert sum(part[metric] for part in told) == some[metric]


@BOUNDED
@given(shops(), st.sampled_from(ZONES), st.sampled_from(OF_CUSTOMERS), st.integers(0, 10**6))
def test_customers_are_those_of_their_answer_and_open(
    tables: Tables, timezone: str, name: str, chosen: int
) -> None:
    """Over time and in all what GET /analytics/customers says; each figure has as many rows."""
    with serve(tables, timezone) as place:
        for start, end in PERIODS:
            for interval in ("hour", "day", "week", "month"):
                common = {"start": start, "end": end, "interval": interval}
                compared = {**common, "compare": "previous_period"}
                told = build_customers(place.engine, place.lake, place.request(**compared))
                series = place.figures(
                    Asked(metrics=COUNTS, dimensions=("time",), limit=5000), **compared
                )
                for point, expected in zip(series["data"], told["series"], strict=True):
                    assert point["dimensions"]["time"] == expected["date"]
                    assert point["metrics"] == {metric: expected[metric] for metric in COUNTS}
                for part in ("metrics", "previous", "change"):
                    found, expected = series["totals"][part], told[part]
                    assert found == {metric: expected[metric] for metric in COUNTS}
            cut = place.figures(Asked(metrics=COUNTS, dimensions=(name,), limit=1000), **common)
            parts = [cut["totals"], *cut["data"]]
            part = parts[chosen % len(parts)]
            opened = open_rows(place, part["rows"], COUNTS)
            assert opened["figures"] == part["metrics"]
            for metric in COUNTS[:3]:
                assert (
                    sum(row["amounts"][metric] for row in opened["data"]) == part["metrics"][metric]
                )
            assert opened["row_count"] == part["metrics"]["customers"]


def test_what_is_in_both_compared_periods_counts_in_each() -> None:
    """Two years and the two from a year before share one: each is as if asked by itself."""
    moments = [datetime(year, 6, 1, 12, tzinfo=UTC) for year in (2014, 2015, 2016)]
    across = [datetime(2014, 12, 31, 23, 50, tzinfo=UTC), datetime(2015, 1, 1, 0, 10, tzinfo=UTC)]
    placed = [("a", moments[0]), ("a", moments[1]), ("b", moments[1]), ("c", moments[2])]
    seen = [("s1", moments[0], "x"), ("s2", moments[1], "y"), ("s3", moments[2], "x")]
    seen += [("s4", across[0], "x"), ("s4", across[1], "y")]
    tables: Tables = {
        "orders": [
            {"order_id": str(number), "number": number, "customer_id": customer, "channel": "web"}
            | {"status": "completed", "currency": "BRL", "placed_at": at}
            for number, (customer, at) in enumerate(placed)
        ],
        "dim_customers": [
            {"customer_id": customer, "first_order_at": at, "created_at": at}
            for customer, at in dict(reversed(placed)).items()
        ],
        "traffic_events": [
            {"event_id": str(number), "hour_key": f"{at:%Y-%m-%dT%H}", "occurred_at": at}
            | {"received_at": at, "kind": "page_view", "visitor_id": session, "is_bot": False}
            | {"session_id": session, "utm_source": source}
            for number, (session, at, source) in enumerate(seen)
        ],
    }
    years = {"start": date(2015, 1, 1), "end": date(2017, 1, 1), "compare": "previous_year"}
    before = {"start": date(2014, 1, 1), "end": date(2016, 1, 1)}
    with serve(tables, "UTC") as place:
        for metrics, name in (
            (COUNTS, "channel"),
            (("sessions", "visitors", "page_views"), "utm_source"),
        ):
            asked = Asked(metrics=metrics, dimensions=(name,))
            told, alone = place.figures(asked, **years), place.figures(asked, **before)
            now = place.figures(asked, **{**years, "compare": "none"})
            assert told["totals"]["previous"] == alone["totals"]["metrics"]
            assert told["totals"]["metrics"] == now["totals"]["metrics"]
            for part, expected in (("previous", alone), ("metrics", now)):
                found = {p["dimensions"][name]: p[part] for p in told["data"]}
                assert found == {p["dimensions"][name]: p["metrics"] for p in expected["data"]}
            counts = alone["totals"]["metrics"]
            assert counts[metrics[0]] == (2 if metrics is COUNTS else 3)
