"""Figures of stock and products over HTTP."""

from functools import partial
from typing import Any

from shop_api.domains.assortment.schemas import InventoryReportQuery, InventoryReportSchema
from shop_api.domains.insights.endpoints import ask_lake
from shop_api.domains.insights.service import InventoryOptions, build_inventory
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.cache_policies import FIGURES
from shop_api.web.reply import Reply

# What of a query says which days and which currency; the rest says which rows.
QUESTION = ("period", "start", "end", "currency")

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
    has_session=False,
    cache=FIGURES,
)
def get_inventory_report(call: Call) -> Reply:
    """Get stock, its value and how it sells, by variant, product, category or location.

    Stock is that of the end of the period: of one that is over, what lay there then. A sale counts
    when its order was placed; orders that were cancelled since do not. Units of all currencies
    count, amounts and costs of one.
    """
    asked = {name: value for name, value in call.query.items() if name in QUESTION}
    chosen: dict[str, Any] = {
        name: str(value) if name.endswith("_id") else value
        for name, value in call.query.items()
        if name not in QUESTION
    }
    build = partial(build_inventory, options=InventoryOptions(**chosen))
    return Reply.of(ask_lake(call, build, {**asked, "compare": "none"}))
