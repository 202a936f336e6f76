"""The statements are carried to other engines as they are: nothing in them is DuckDB's alone."""

from importlib.resources import files

import pytest
from sqlglot import ErrorLevel, exp, parse_one, transpile

from analytics.contracts import CONTRACTS
from analytics.metrics.customers import (
    COHORT_CELL,
    CUSTOMER_VALUES,
    CUSTOMERS,
    MEAN_REPEAT_INTERVAL,
    MEDIAN_REPEAT_INTERVAL,
    quotient_sides,
)
from analytics.metrics.definitions import SALES, select_list
from analytics.queries import load_query

QUERIES = sorted(
    path.name.removesuffix(".sql")
    for path in files("analytics.queries").iterdir()
    if path.name.endswith(".sql")
)
# what stands for {metrics} where it is not the sales metrics
METRICS = {
    "customers": select_list(CUSTOMERS),
    "customers_by_bucket": select_list(CUSTOMERS),
    "cohorts": select_list(COHORT_CELL),
    "customer_segments": select_list(CUSTOMER_VALUES),
    "repeat_intervals": quotient_sides(MEAN_REPEAT_INTERVAL, MEDIAN_REPEAT_INTERVAL),
}


def statement(query: str) -> str:
    metrics = METRICS.get(query, select_list(SALES))
    return load_query(query).replace("{metrics}", metrics)


def test_all_statements_are_found() -> None:
    assert {"sales_by_day", "sales_by_bucket", "products", "customers"} <= set(QUERIES)


@pytest.mark.parametrize("dialect", ["spark", "trino"])
@pytest.mark.parametrize("query", QUERIES)
def test_statement_translates(query: str, dialect: str) -> None:
    (text,) = transpile(
        statement(query), read="duckdb", write=dialect, unsupported_level=ErrorLevel.RAISE
    )
    parse_one(text, read=dialect)


@pytest.mark.parametrize("query", QUERIES)
def test_statement_calls_no_function_of_one_engine(query: str) -> None:
    """What sqlglot does not know it passes on unchanged, and the other engine would refuse it."""
    tree = parse_one(statement(query), read="duckdb")
    assert not [call.name for call in tree.find_all(exp.Anonymous)]


@pytest.mark.parametrize("query", QUERIES)
def test_statement_reads_only_tables_of_the_contracts(query: str) -> None:
    tree = parse_one(statement(query), read="duckdb")
    defined = {cte.alias for cte in tree.find_all(exp.CTE)}
    assert {table.name for table in tree.find_all(exp.Table)} - defined <= CONTRACTS.keys()
