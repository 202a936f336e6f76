"""Insights over HTTP."""

from flask import current_app

from analytics.dashboard.answers import build_dashboard, build_orders, build_revenue
from analytics.metrics.definitions import METRICS
from shop_api.db.deadlines import deadline
from shop_api.domains.insights.schemas import (
    AnalyticsQuery,
    DashboardSchema,
    MetricsSchema,
    OrdersSchema,
    RevenueSchema,
)
from shop_api.domains.insights.service import (
    EXTENSION,
    Build,
    Insights,
    Profile,
    keep_until,
)
from shop_api.kernel.exchange import CacheGrant
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.cache_policies import FIGURES
from shop_api.web.reply import Reply

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
    return answer_figures(call, build_dashboard)


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
    return answer_figures(call, build_revenue)


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
    return answer_figures(call, build_orders)


@insights.read("/metrics", scope="analytics:read", returns=MetricsSchema, has_session=False)
def list_metrics(_: Call) -> Reply:
    """List the metrics: name, formula, unit, grain, and the SQL that computes them."""
    return Reply.of(
        {
            "data": [
                {
                    "name": metric.name,
                    "title": metric.title,
                    "unit": metric.unit,
                    "formula": metric.formula,
                    "grain": metric.grain,
                    "source": metric.source,
                    "sql": metric.expression,
                    "is_additive": metric.is_additive,
                }
                for metric in METRICS.values()
            ]
        }
    )


def answer_figures(call: Call, build: Build) -> Reply:
    """Figures of the newest snapshot, and the leave to keep them."""
    lake: Insights = current_app.extensions[EXTENSION]
    principal = call.principal
    snapshot = lake.snapshot()
    profile = Profile(call.tenant_id, principal.currency, principal.timezone)
    now = call.exchange.started_at
    left_seconds = deadline.left_seconds() or call.services.settings.deadline_seconds
    answer = lake.answer(build, snapshot, profile, call.query, now, left_seconds)
    call.exchange.cache_grant = CacheGrant(
        lake.fingerprint(snapshot, call.tenant_id),
        keep_until(profile, now, FIGURES.keep_seconds),
    )
    return Reply.of(answer)
