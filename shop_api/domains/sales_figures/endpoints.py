"""The sales report over HTTP."""

from functools import partial

from shop_api.domains.insights.endpoints import ask_lake, file_forms, file_reply
from shop_api.domains.insights.errors import invalid_parameter, unanswerable
from shop_api.domains.insights.service import (
    SalesOptions,
    build_sales_file,
    build_sales_page,
)
from shop_api.domains.queries.endpoints import (
    check_length,
    check_values,
    link_rows,
    read_filters,
)
from shop_api.domains.sales_figures.schemas import SalesReportQuery, SalesReportSchema
from shop_api.kernel.errors import DomainError
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.cache_policies import FIGURES
from shop_api.web.reply import Reply

# What of a question's refusals is which parameter.
PARAMETERS = {"metrics": "metrics", "dimensions": "group_by", "filters": "group_by", "sort": "sort"}

sales_figures = Blueprint(
    "sales_figures",
    __name__,
    url_prefix="/api/v1/analytics",
    description="Sales by what you choose, to read or to download.",
)


@sales_figures.read(
    "/reports/sales",
    scope="analytics:read",
    query=SalesReportQuery,
    returns=SalesReportSchema,
    also_as=file_forms("time,channel,currency,gross_sales,…\r\n2026-03-01,web,EUR,1204.50,…\r\n"),
    has_session=False,
    cache=FIGURES,
)
def get_sales_report(call: Call) -> Reply:
    """Get sales by day, week or month, by channel, country, product, category and more.

    Rows are those of `POST /analytics/query`: each names the URL of the orders behind it, and
    `totals` are of all pages. `format` chooses a file of all rows instead of a page: `csv` (exact
    decimals; what a spreadsheet would run as a formula begins with `'`), `xlsx`, or `parquet`
    (typed: decimals, dates and instants in UTC). A file has each metric in a column of its name,
    and with `compare` `previous_…` and `…_change` beside it.
    """
    asked = dict(call.query)
    form = asked.pop("format", "json")
    filters = read_filters(asked)
    check_length(filters, "group_by")
    check_values(filters)
    order = asked.pop("order", None)
    options = SalesOptions(
        group_by=tuple(asked.pop("group_by", SalesOptions().group_by)),
        metrics=tuple(asked.pop("metrics", ())) or None,
        filters=filters,
        sort=asked.pop("sort", None),
        is_descending=None if order is None else order == "desc",
        limit=asked.pop("limit", None),
        offset=asked.pop("offset", 0),
    )
    parameters = {"compare": "none", **asked}
    if form == "json":
        answer = ask_lake(call, partial(build_sales_page, options=options), parameters, _refuse)
        link_rows(answer)
        return Reply.of(answer)
    build = partial(build_sales_file, options=options, form=form)
    return file_reply(call, build, parameters, _refuse)


def _refuse(parameter: str, detail: str) -> DomainError:
    """By the parameter of the query."""
    name = PARAMETERS.get(parameter.partition("/")[0])
    return unanswerable(name, detail) if name else invalid_parameter(parameter, detail)
