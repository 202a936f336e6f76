"""The answers: dashboard, revenue, orders. Plain dicts of exact decimals, ready for JSON.

Belongs here: which figures an answer has and where. Does not: how they are computed (sales.py,
breakdowns.py) and HTTP.
"""

from functools import partial
from typing import Any

from analytics.beside import Beside
from analytics.dashboard.breakdowns import (
    read_catalogue,
    read_customers,
    read_fulfillment,
    read_payments,
    read_products,
)
from analytics.dashboard.question import AnalyticsRequest, Question
from analytics.dashboard.sales import Sales, read_sales
from analytics.dashboard.traffic import read_traffic
from analytics.engine import Engine
from analytics.lake import Lake

REVENUE_METRICS = (
    "gross_sales",
    "discounts",
    "returns",
    "net_sales",
    "shipping",
    "taxes",
    "total_sales",
    "units",
    "orders",
    "average_order_value",
    "cost_of_goods",
    "gross_profit",
    "profit_margin",
    "cost_coverage",
)
ORDER_METRICS = (
    "placed_orders",
    "orders",
    "pending_orders",
    "processing_orders",
    "completed_orders",
    "cancelled_orders",
    "units",
    "average_order_value",
)

# Of one converted answer: a year of a million orders in another currency takes more than a worker's
# 128 MB when two of its parts join orders and lines at once, and one after the other less.
LONGEST_BESIDE_DAYS = 31


def build_dashboard(engine: Engine, lake: Lake, request: AnalyticsRequest) -> dict[str, Any]:
    """The dashboard of CONTRACT §3."""
    question = Question(engine, lake, request)
    with _beside(engine, question) as beside:
        began_sold = beside.begin(partial(read_products, question))
        began_customers = beside.begin(partial(read_customers, question))
        began_payments = beside.begin(partial(read_payments, question))
        began_fulfillment = beside.begin(partial(read_fulfillment, question))
        sales = read_sales(question)
        traffic, funnel = read_traffic(question)
        catalogue = read_catalogue(question)
        fulfillment, payments = began_fulfillment(), began_payments()
        customers, sold = began_customers(), began_sold()
    return {
        **question.envelope(),
        "revenue": {
            "total": sales.totals["total_sales"],
            "change": sales.change("total_sales"),
            **{name: sales.totals[name] for name in REVENUE_METRICS[:8]},
            "trend": _trend(sales, "total_sales"),
            "by_payment_method": payments,
            "by_category": sold.by_category,
            "top_products": sold.top_products,
        },
        "orders": {
            "total": sales.totals["placed_orders"],
            "change": sales.change("placed_orders"),
            "pending": sales.totals["pending_orders"],
            "processing": sales.totals["processing_orders"],
            "completed": sales.totals["completed_orders"],
            "cancelled": sales.totals["cancelled_orders"],
            "average_order_value": sales.totals["average_order_value"],
            "trend": _trend(sales, "placed_orders"),
            "fulfillment_status": fulfillment,
        },
        "products": {**catalogue, "sold": sold.products},
        "customers": customers,
        "traffic": traffic,
        "conversion_funnel": funnel,
    }


def build_revenue(engine: Engine, lake: Lake, request: AnalyticsRequest) -> dict[str, Any]:
    """Every sales metric of the period, compared and over time, and what the sales are made of."""
    question = Question(engine, lake, request)
    with _beside(engine, question) as beside:
        began_sold = beside.begin(partial(read_products, question))
        began_payments = beside.begin(partial(read_payments, question))
        sales = read_sales(question)
        payments, sold = began_payments(), began_sold()
    return {
        **question.envelope(),
        **_metrics(sales, REVENUE_METRICS),
        "by_payment_method": payments,
        "by_category": sold.by_category,
        "top_products": sold.top_products,
    }


def build_orders(engine: Engine, lake: Lake, request: AnalyticsRequest) -> dict[str, Any]:
    """The order counts of the period, compared and over time, and how far orders are delivered."""
    question = Question(engine, lake, request)
    sales = read_sales(question)
    return {
        **question.envelope(),
        **_metrics(sales, ORDER_METRICS),
        "fulfillment_status": read_fulfillment(question),
    }


def build_live_metrics(engine: Engine, lake: Lake, request: AnalyticsRequest) -> dict[str, Any]:
    """The few figures that are pushed when they change: the request's period, as a rule today.

    `visitors_online` is not in the lake: whoever pushes them adds it.
    """
    question = Question(engine, lake, request)
    totals = read_sales(question).totals
    return {
        **question.envelope(),
        "metrics": {
            "total_revenue": totals["total_sales"],
            "orders_today": totals["placed_orders"],
            "units_today": totals["units"],
            "average_order_value": totals["average_order_value"],
        },
    }


def _beside(engine: Engine, question: Question) -> Beside:
    """To begin parts of an answer early, unless two at once may take more memory than there is."""
    days = (question.period.end - question.period.start).days
    if question.request.converted and days > LONGEST_BESIDE_DAYS:
        return Beside(None)
    return engine.beside()


def _metrics(sales: Sales, names: tuple[str, ...]) -> dict[str, Any]:
    previous = sales.previous
    return {
        "metrics": {name: sales.totals[name] for name in names},
        "previous": None if previous is None else {name: previous[name] for name in names},
        "change": None if previous is None else {name: sales.change(name) for name in names},
        "series": [
            {"date": label, **{name: figures[name] for name in names}}
            for label, figures in sales.series
        ],
    }


def _trend(sales: Sales, name: str) -> list[dict[str, Any]]:
    return [{"date": label, "value": figures[name]} for label, figures in sales.series]
