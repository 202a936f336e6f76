"""The catalogue of metrics is whole, its SQL uses real columns, and its arithmetic is exact."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.contracts import DAILY_SALES
from analytics.metrics.definitions import (
    CUSTOMERS,
    METRICS,
    SALES,
    average,
    money,
    ratio,
    select_list,
)
from analytics.queries import load_query

D = Decimal
COLUMN = re.compile(r"sum\((\w+)\)")


def test_contract_names_are_all_there() -> None:
    """CONTRACT §3 as far as the lake has the facts."""
    expected = {
        "gross_sales",
        "discounts",
        "returns",
        "net_sales",
        "taxes",
        "shipping",
        "total_sales",
        "average_order_value",
        "orders",
        "units",
        "customers",
        "new_customers",
        "returning_customers",
        "returning_customer_rate",
        "gross_profit",
        "profit_margin",
    }
    assert expected <= METRICS.keys()


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_says_what_it_is(metric: object) -> None:
    for name in ("title", "unit", "formula", "grain", "source", "expression"):
        assert getattr(metric, name)


def test_sales_sum_columns_of_the_rollup() -> None:
    measures = {column.name for column in DAILY_SALES.columns if column.unit}
    for metric in SALES:
        used = COLUMN.findall(metric.expression)
        assert used
        assert set(used) <= measures
        assert metric.is_additive


def test_quotients_are_not_additive() -> None:
    quotients = [metric for metric in METRICS.values() if metric.denominator]
    assert [metric.name for metric in quotients] == [
        "average_order_value",
        "profit_margin",
        "cost_coverage",
        "returning_customer_rate",
        "lifetime_value",
        "mean_repeat_interval",
        "median_repeat_interval",
        "stock_value_coverage",
        "sell_through",
        "days_of_inventory",
        "conversion_rate",
    ]
    assert not any(metric.is_additive for metric in quotients)
    assert not any(metric.is_additive for metric in CUSTOMERS)


@pytest.mark.parametrize("query", ["sales_by_day", "sales_by_bucket", "customers"])
def test_statements_take_their_metrics_from_the_definitions(query: str) -> None:
    assert load_query(query).count("{metrics}") == 1


def test_select_list_names_each_metric() -> None:
    text = select_list(SALES)
    assert text.startswith("sum(gross_sales) AS gross_sales,")
    assert [line.rsplit(" AS ", 1)[1].rstrip(",") for line in text.splitlines()] == [
        metric.name for metric in SALES
    ]


@pytest.mark.parametrize(
    ("amount", "digits", "text"),
    [("12.875", 2, "12.88"), ("-12.875", 2, "-12.88"), ("1990", 0, "1990"), ("1.5", 3, "1.500")],
)
def test_amounts_have_the_currencys_digits(amount: str, digits: int, text: str) -> None:
    assert str(money(D(amount), digits)) == text


def test_of_nothing_there_is_no_average_and_no_ratio() -> None:
    assert average(D(10), 0, 2) is None
    assert ratio(D(10), D(0)) is None
    assert average(D("51.50"), 4, 2) == D("12.88")
    assert ratio(1, 3) == D("0.3333")


@given(st.decimals(-(10**9), 10**9, places=4), st.integers(0, 4))
def test_rounding_moves_an_amount_by_half_a_unit_at_most(amount: Decimal, digits: int) -> None:
    rounded = money(amount, digits)
    assert abs(rounded - amount) <= D(1).scaleb(-digits) / 2
    assert -rounded.as_tuple().exponent == digits  # type: ignore[operator]
