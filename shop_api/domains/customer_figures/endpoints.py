"""Figures of customers over HTTP."""

from functools import partial

from shop_api.domains.customer_figures.schemas import (
    CustomerReportQuery,
    CustomerReportSchema,
    CustomersSchema,
)
from shop_api.domains.insights.endpoints import (
    CUSTOMER_METRICS,
    ask_lake,
    file_forms,
    file_reply,
    link_compared,
)
from shop_api.domains.insights.schemas import AnalyticsQuery
from shop_api.domains.insights.service import (
    CustomerSelection,
    build_customer_file,
    build_customer_page,
    build_customers,
)
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
    answer = ask_lake(call, build_customers, call.query)
    link_compared(answer, CUSTOMER_METRICS)
    return Reply.of(answer)


@customer_figures.read(
    "/reports/customers",
    scope="analytics:read",
    query=CustomerReportQuery,
    returns=CustomerReportSchema,
    also_as=file_forms(
        "customer_id,segment,currency,orders,…\r\n"
        "01890a5d-ac96-774b-bcce-b302099a8057,champions,USD,3,…\r\n"
    ),
    has_session=False,
    cache=FIGURES,
)
def get_customer_report(call: Call) -> Reply:
    """Get a row for each customer who has ordered: sales, last order, scores and segment.

    `orders` and sales are of the period; who ordered before it has none and is in the report, too.
    Recency, frequency, monetary, their scores and the segment are of all orders by `until`, as in
    the figures of customers. `format` chooses a file instead of a page: `csv` (exact decimals; what
    a spreadsheet would run as a formula begins with `'`), `xlsx`, or `parquet` (typed: decimals and
    instants in UTC). Names and addresses are not in the lake: read customers by their id for them.
    """
    asked = dict(call.query)
    form = asked.pop("format", "json")
    selection = CustomerSelection(
        segment=asked.pop("segment", None),
        sort=asked.pop("sort", "net_sales"),
        is_descending=asked.pop("order", "desc") == "desc",
        limit=asked.pop("limit", None),
        offset=asked.pop("offset", 0),
    )
    if form == "json":
        page = partial(build_customer_page, selection=selection)
        return Reply.of(ask_lake(call, page, asked))
    return file_reply(call, partial(build_customer_file, selection=selection, form=form), asked)
