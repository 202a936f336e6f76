"""The page of metrics and dimensions is what their definitions are."""

from analytics.metrics.definitions import METRICS
from analytics.metrics.dimensions import (
    ASKABLE,
    DIMENSIONS,
    dimensions_of,
    is_of_sales,
    metrics_of,
)
from analytics.metrics.page import render_page
from analytics.metrics.sums import of_one_row
from tests.architecture.sources import ROOT

OF_VISITS = [metric for metric in ASKABLE.values() if metric.source == "period_sessions"]
PAGE = ROOT / "docs" / "guides" / "metrics.md"


def test_the_page_is_what_the_definitions_are() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_page(), "run `make docs`"


def test_the_page_names_everything() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in (*METRICS, *DIMENSIONS):
        assert f"| `{name}` |" in page, name


def test_what_belongs_to_an_order_is_not_told_by_line() -> None:
    by_line = {name for name, dimension in DIMENSIONS.items() if dimension.grain == "line"}
    assert by_line == {"product", "variant", "category"}
    for name in ("orders", "shipping", "taxes", "total_sales", "average_order_value"):
        assert not by_line & set(dimensions_of(METRICS[name])), name
    assert {"net_sales", "units", "profit_margin"} <= set(metrics_of(DIMENSIONS["product"]))
    assert metrics_of(DIMENSIONS["country"]) == [
        n for n, m in ASKABLE.items() if m not in OF_VISITS
    ]
    assert metrics_of(DIMENSIONS["device"]) == [metric.name for metric in OF_VISITS]


def test_metrics_of_sales_are_made_of_sums() -> None:
    """What one row adds is its text without the sums, so there must be nothing else in it."""
    for metric in filter(is_of_sales, ASKABLE.values()):
        sides = [metric.numerator or metric.expression, metric.denominator or "sum(orders)"]
        for expression in sides:
            terms = of_one_row(expression).replace("+", "-").split("-")
            assert all(term.strip().isidentifier() for term in terms), metric.name
