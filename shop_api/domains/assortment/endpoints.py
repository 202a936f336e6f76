"""Figures of stock and products over HTTP."""

from functools import partial
from typing import Any

from shop_api.domains.assortment.schemas import (
    InventoryReportQuery,
    InventoryReportSchema,
    ProductFiguresQuery,
    ProductFiguresSchema,
)
from shop_api.domains.insights.endpoints import ask_lake, file_forms, file_reply
from shop_api.domains.insights.service import (
    InventoryOptions,
    ProductOptions,
    build_inventory,
    build_inventory_file,
    build_products,
)
from shop_api.domains.queries.endpoints import link_rows
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.cache_policies import FIGURES
from shop_api.web.reply import Reply

# What of a query says which figures; the rest says which rows of them.
QUESTION = (
    *("period", "start", "end", "interval", "compare"),
    *("basis", "currency", "converted", "channel"),
)

assortment = Blueprint(
    "assortment",
    __name__,
    url_prefix="/api/v1/analytics",
    description="Figures of the assortment: what lies where, what it is worth, how it sells.",
)


@assortment.read(
    "/reports/inventory",
    scope="analytics:read",
    query=InventoryReportQuery,
    returns=InventoryReportSchema,
    also_as=file_forms("id,product_id,name,…\r\n01890a5d-ac96-774b-bcce-b302099a8057,…\r\n"),
    has_session=False,
    cache=FIGURES,
)
def get_inventory_report(call: Call) -> Reply:
    """Get stock, its value and how it sells, by variant, product, category or location.

    Stock is that of the end of the period: of one that is over, what lay there then. A sale counts
    when its order was placed; orders that were cancelled since do not. Units of all currencies
    count, amounts and costs of one. `format` chooses a file of all rows instead of a page: `csv`
    (exact decimals; what a spreadsheet would run as a formula begins with `'`), `xlsx`, or
    `parquet` (typed: decimals and instants in UTC).
    """
    asked, chosen = _parted(call.query)
    form = chosen.pop("format", "json")
    parameters, options = {**asked, "compare": "none"}, InventoryOptions(**chosen)
    if form == "json":
        return Reply.of(ask_lake(call, partial(build_inventory, options=options), parameters))
    build = partial(build_inventory_file, options=options, form=form)
    return file_reply(call, build, parameters)


@assortment.read(
    "/products",
    scope="analytics:read",
    query=ProductFiguresQuery,
    returns=ProductFiguresSchema,
    has_session=False,
    cache=FIGURES,
)
def get_product_figures(call: Call) -> Reply:
    """Get what each product sold in a period, compared, with its share of all sales and its class.

    Products without sales, returns or cancellations in the period are not in it. What was sold of
    no product of the catalogue is one row without a `product_id`.
    """
    asked, chosen = _parted(call.query)
    build = partial(build_products, options=ProductOptions(**chosen))
    answer = ask_lake(call, build, asked)
    link_rows(answer)
    return Reply.of(answer)


def _parted(query: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What says which figures, and what says which rows."""
    asked = {name: value for name, value in query.items() if name in QUESTION}
    chosen = {
        name: str(value) if name.endswith("_id") else value
        for name, value in query.items()
        if name not in QUESTION
    }
    return asked, chosen
