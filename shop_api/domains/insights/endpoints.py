"""Insights over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from flask import current_app

from analytics.dashboard.answers import (
    ORDER_METRICS,
    REVENUE_METRICS,
    build_dashboard,
    build_orders,
    build_revenue,
)
from shop_api.db.deadlines import deadline
from shop_api.domains.insights.errors import invalid_parameter
from shop_api.domains.insights.schemas import (
    AnalyticsQuery,
    DashboardSchema,
    OrdersSchema,
    RevenueSchema,
)
from shop_api.domains.insights.service import (
    CONTENT_TYPES,
    EXTENSION,
    Build,
    Insights,
    Profile,
    Refuse,
    ReportFile,
    Snapshot,
    keep_until,
    opened_of,
    written,
)
from shop_api.kernel.exchange import CacheGrant
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.cache_policies import FIGURES
from shop_api.web.reply import Reply

T = TypeVar("T")

ROWS = "/api/v1/analytics/rows"
# What of the dashboard's orders, and of what was sold, can be opened.
DASHBOARD_ORDER_METRICS = (
    "placed_orders",
    "pending_orders",
    "processing_orders",
    "completed_orders",
    "cancelled_orders",
    "average_order_value",
)
SOLD_METRICS = ("units", "gross_sales", "discounts", "returns", "net_sales")
CUSTOMER_METRICS = (
    *("customers", "new_customers", "returning_customers"),
    "returning_customer_rate",
)

insights = Blueprint(
    "analytics",
    __name__,
    url_prefix="/api/v1/analytics",
    description="Figures from the lake: revenue, orders, customers, and how each is defined.",
)


@insights.read(
    "/dashboard",
    scope="analytics:read",
    query=AnalyticsQuery,
    returns=DashboardSchema,
    has_session=False,
    cache=FIGURES,
)
def get_dashboard(call: Call) -> Reply:
    """Get a shop at a glance: revenue, orders, products and customers of a period."""
    answer = ask_lake(call, build_dashboard, call.query)
    revenue, orders = answer["revenue"], answer["orders"]
    link(answer, revenue, REVENUE_METRICS[:8])
    link_points(answer, revenue["trend"], ("total_sales",))
    _link_sold(answer, revenue)
    link(answer, orders, DASHBOARD_ORDER_METRICS)
    link_points(answer, orders["trend"], ("placed_orders",))
    _link_fulfillment(answer, orders["fulfillment_status"])
    link(answer, answer["customers"], CUSTOMER_METRICS)
    _link_payments(answer, revenue["by_payment_method"])
    visits, traffic = of_visits(answer), answer["traffic"]
    link(visits, traffic, ("sessions", "visitors", "page_views", "conversion_rate"))
    link_points(visits, traffic["trend"], ("sessions",))
    link_funnel(visits, answer["conversion_funnel"]["steps"])
    return Reply.of(answer)


@insights.read(
    "/revenue",
    scope="analytics:read",
    query=AnalyticsQuery,
    returns=RevenueSchema,
    has_session=False,
    cache=FIGURES,
)
def get_revenue(call: Call) -> Reply:
    """Get the sales metrics of a period, compared, over time, and what they are made of."""
    answer = ask_lake(call, build_revenue, call.query)
    link_compared(answer, REVENUE_METRICS)
    _link_sold(answer, answer)
    _link_payments(answer, answer["by_payment_method"])
    return Reply.of(answer)


@insights.read(
    "/orders",
    scope="analytics:read",
    query=AnalyticsQuery,
    returns=OrdersSchema,
    has_session=False,
    cache=FIGURES,
)
def get_order_figures(call: Call) -> Reply:
    """Get the counts of orders of a period, compared and over time."""
    answer = ask_lake(call, build_orders, call.query)
    link_compared(answer, ORDER_METRICS)
    _link_fulfillment(answer, answer["fulfillment_status"])
    return Reply.of(answer)


def rows_url(opened: list[tuple[str, str]]) -> str:
    """Where the rows behind a figure are."""
    return f"{ROWS}?{urlencode(opened)}"


def link(answer: dict[str, Any], part: dict[str, Any], metrics: tuple[str, ...]) -> None:
    """Put the URL of the rows behind totals into the part of the answer that has them."""
    part["rows"] = rows_url(opened_of(answer, metrics) or [])


def link_points(
    answer: dict[str, Any], points: list[dict[str, Any]], metrics: tuple[str, ...]
) -> None:
    """The same for each point of a series; what they share is written once."""
    shared = [*(opened_of(answer, metrics) or []), ("interval", answer["interval"])]
    url = rows_url(shared)
    for point in points:
        point["rows"] = f"{url}&time={quote(point['date'])}"


def _link_sold(answer: dict[str, Any], sold: dict[str, Any]) -> None:
    """The same for each category and product."""
    url = rows_url(opened_of(answer, SOLD_METRICS) or [])
    for parts, dimension in ((sold["by_category"], "category"), (sold["top_products"], "product")):
        for part in parts:
            value = quote(written((part[f"{dimension}_id"],)))
            part["rows"] = f"{url}&{dimension}={value}"


def link_compared(answer: dict[str, Any], metrics: tuple[str, ...]) -> None:
    """The same for an answer of metrics, what they are compared with, and a series."""
    link(answer, answer, metrics)
    before = opened_of(answer, metrics, is_before=True)
    answer["previous_rows"] = before and rows_url(before)
    link_points(answer, answer["series"], metrics)


def of_visits(answer: dict[str, Any]) -> dict[str, Any]:
    """What of an answer says which visits its figures are of: they have no currency."""
    names = ("snapshot", "period", "compared_with", "interval", "include_bots")
    return {name: answer[name] for name in names if name in answer}


def link_funnel(visits: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    """The same for each step on the way to a purchase."""
    for step in steps:
        link(visits, step, (step["step"],))


def _link_payments(answer: dict[str, Any], methods: list[dict[str, Any]]) -> None:
    """The same for each payment method."""
    url = rows_url(opened_of(answer, ("captured_amount", "captured_payments")) or [])
    for each in methods:
        # as the dimension says it: what begins with a colon is said of several
        method = f":{each['method']}" if each["method"].startswith(":") else each["method"]
        each["rows"] = f"{url}&payment_method={quote(written((method,)))}"


def _link_fulfillment(answer: dict[str, Any], orders: dict[str, Any]) -> None:
    """The same for each status; the orders are those placed in the period, under either basis."""
    url = rows_url(opened_of(answer, ("orders",), basis="order_date") or [])
    orders["rows"] = {status: f"{url}&fulfillment_status={status}" for status in orders}


def ask_lake(
    call: Call,
    build: Build[T],
    parameters: Mapping[str, Any],
    refuse: Refuse = invalid_parameter,
) -> T:
    """What `build` makes of the newest snapshot; its answer may be kept while that is current."""
    lake: Insights = current_app.extensions[EXTENSION]
    snapshot = lake.snapshot_of(call.tenant_id)
    answer = ask_snapshot(call, build, parameters, snapshot, call.now, refuse)
    call.exchange.cache_grant = CacheGrant(
        lake.fingerprint(snapshot, call.tenant_id),
        keep_until(_profile(call), call.now, FIGURES.keep_seconds),
    )
    return answer


def ask_snapshot(
    call: Call,
    build: Build[T],
    parameters: Mapping[str, Any],
    snapshot: Snapshot,
    now: datetime,
    refuse: Refuse = invalid_parameter,
) -> T:
    """What `build` makes of a snapshot, asked at `now`, within what is left of the request's time;
    `refuse` makes the error of a parameter."""
    lake: Insights = current_app.extensions[EXTENSION]
    left_seconds = deadline.left_seconds() or call.services.settings.deadline_seconds
    return lake.answer(build, snapshot, _profile(call), parameters, now, left_seconds, refuse)


def _profile(call: Call) -> Profile:
    principal = call.principal
    return Profile(call.tenant_id, principal.currency, principal.timezone)


def file_reply(
    call: Call,
    build: Build[ReportFile],
    parameters: Mapping[str, Any],
    refuse: Refuse = invalid_parameter,
) -> Reply:
    """A report as a download, sent as it is read; it is not kept."""
    file = ask_lake(call, build, parameters, refuse)
    return Reply(
        b"",
        version=file.digest,
        headers=[("Content-Disposition", f'attachment; filename="{file.name}"')],
        content_type=file.content_type,
        parts=file.read_in_parts(),
    )


def file_forms(csv_example: str) -> dict[str, str]:
    """What a report comes as beside JSON, by `format`: content type → an example."""
    return {
        "text/csv": csv_example,
        CONTENT_TYPES["xlsx"]: "PK…",
        CONTENT_TYPES["parquet"]: "PAR1…",
    }
