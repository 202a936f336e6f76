"""The statements are carried to other engines as they are: nothing in them is DuckDB's alone."""

from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Any, cast

import pytest
from sqlglot import ErrorLevel, exp, parse_one

from analytics.contracts import CONTRACTS
from analytics.dashboard.question import AnalyticsRequest, Question
from analytics.lake import Snapshot
from analytics.metrics.customers import (
    COHORT_CELL,
    CUSTOMER_VALUES,
    CUSTOMERS,
    MEAN_REPEAT_INTERVAL,
    MEDIAN_REPEAT_INTERVAL,
    quotient_sides,
)
from analytics.metrics.definitions import SALES, UNCONVERTED_ORDERS, select_list
from analytics.metrics.dimensions import ASKABLE, DIMENSIONS, metrics_of
from analytics.metrics.inventory import INVENTORY
from analytics.metrics.traffic import TRAFFIC
from analytics.queries import load_query
from analytics.query.asked import Asked, Filter
from analytics.query.statement import figures_statement, rows_statement, rows_total_statement

# what stands for {metrics} where it is not the sales metrics
METRICS = {
    "customers": select_list(CUSTOMERS),
    "customers_by_bucket": select_list(CUSTOMERS),
    "customers_until_now": select_list(CUSTOMERS),
    "cohorts": select_list(COHORT_CELL),
    "customer_segments": select_list(CUSTOMER_VALUES),
    "segments_until_now": select_list(CUSTOMER_VALUES),
    "inventory": select_list(INVENTORY),
    "traffic_by_bucket": select_list(TRAFFIC),
    "unconverted_orders": select_list((UNCONVERTED_ORDERS,)),
    "repeat_intervals": quotient_sides(MEAN_REPEAT_INTERVAL, MEDIAN_REPEAT_INTERVAL),
}


# made whole by the question that is asked
TEMPLATES = {
    "figures",
    "figures_of_units",
    "movement_rows",
    "customer_rows",
    "session_rows",
    "clock",
    "customer_scores",
    "period_customers",
    "period_sessions",
    "session_landings",
}
ASKED = [
    f"{kind} by {name} and {interval} of {source}"
    for kind in ("figures", "rows", "total")
    for name, dimension in DIMENSIONS.items()
    for interval in ("hour", "month")
    for source in sorted(dimension.sources)
]
QUERIES = [
    *sorted(
        path.name.removesuffix(".sql")
        for path in files("analytics.queries").iterdir()
        if path.name.endswith(".sql") and path.name.removesuffix(".sql") not in TEMPLATES
    ),
    *ASKED,
]


def asked_statement(kind: str, name: str, interval: str, source: str) -> str:
    """A question by one dimension and time, filtered by both, and sorted by a quotient."""
    day = datetime(2026, 3, 1, tzinfo=UTC)
    request = AnalyticsRequest(
        tenant_id="",
        snapshot=Snapshot(1, day, {}),
        timezone="Europe/Rome",
        currency="EUR",
        currency_digits=2,
        now=day,
        start=date(2026, 3, 1),
        end=date(2026, 4, 1),
        interval=interval,
    )
    question = Question(cast(Any, None), cast(Any, None), request)
    known = metrics_of(DIMENSIONS[name])
    metrics = tuple(metric for metric in known if ASKABLE[metric].source == source)
    filters = (Filter(name, (None,)), Filter("weekday", (1,), is_in=False))
    sort = "profit_margin" if source == "daily_sales" else None
    if kind != "figures":
        asked = Asked(metrics=metrics, filters=filters)
        made = rows_statement if kind == "rows" else rows_total_statement
        return made(question, asked).text
    asked = Asked(metrics=metrics, dimensions=(name, "time"), filters=filters, sort=sort)
    return figures_statement(question, asked, is_compared=True).text


def statement(query: str) -> str:
    if query in ASKED:
        kind, _, name, _, interval, _, source = query.split()
        return asked_statement(kind, name, interval, source)
    metrics = METRICS.get(query, select_list(SALES))
    return load_query(query).replace("{metrics}", metrics)


@cache
def parsed(query: str) -> exp.Expr:
    """A statement as DuckDB reads it, which no test changes."""
    return parse_one(statement(query), read="duckdb")


def test_all_statements_are_found() -> None:
    assert {"sales_by_day", "sales_by_bucket", "products", "customers"} <= set(QUERIES)


@pytest.mark.parametrize("dialect", ["spark", "trino"])
@pytest.mark.parametrize("query", QUERIES)
def test_statement_translates(query: str, dialect: str) -> None:
    text = parsed(query).sql(dialect=dialect, unsupported_level=ErrorLevel.RAISE)
    parse_one(text, read=dialect)


@pytest.mark.parametrize("query", QUERIES)
def test_statement_calls_no_function_of_one_engine(query: str) -> None:
    """What sqlglot does not know it passes on unchanged, and the other engine would refuse it."""
    tree = parsed(query)
    assert not [call.name for call in tree.find_all(exp.Anonymous)]


@pytest.mark.parametrize("query", QUERIES)
def test_statement_reads_only_tables_of_the_contracts(query: str) -> None:
    tree = parsed(query)
    defined = {cte.alias for cte in tree.find_all(exp.CTE)}
    assert {table.name for table in tree.find_all(exp.Table)} - defined <= CONTRACTS.keys()
