"""Figures of customers over HTTP."""

from shop_api.domains.customer_figures.schemas import CustomersSchema
from shop_api.domains.insights.endpoints import answer_figures
from shop_api.domains.insights.schemas import AnalyticsQuery
from shop_api.domains.insights.service import build_customers
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.cache_policies import FIGURES
from shop_api.web.reply import Reply

customer_figures = Blueprint(
    "customer_figures",
    __name__,
    url_prefix="/api/v1/analytics",
    description="Figures of customers: who comes back, in which segments, what they are worth.",
)


@customer_figures.read(
    "/customers",
    scope="analytics:read",
    query=AnalyticsQuery,
    returns=CustomersSchema,
    has_session=False,
    cache=FIGURES,
)
def get_customer_figures(call: Call) -> Reply:
    """Get who ordered, who came back and when, and what customers are worth.

    `cohorts` has a row for each month in which customers ordered for the first time ever (for each
    week with `interval=week`), and in it a cell for each month from there to the period's end.
    Segments are of everybody who has ordered by then, not only in the period: each is ranked by how
    lately, how often and for how much, and the ranks are cut into scores of 1 to 5; who shares a
    value shares the score. The orders of guests have no customer: `guest_orders` counts them, and
    nothing else does. Durations are exact, in days of 24 hours.
    """
    return answer_figures(call, build_customers)
