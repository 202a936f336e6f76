"""Products by what they sold: the metrics of each, its share and its class.

Belongs here: which metrics a product has and how products are ranked. Does not: the figures
(query/figures.py) and HTTP.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from analytics.dashboard.question import AnalyticsRequest, Question
from analytics.engine import Engine
from analytics.lake import Lake
from analytics.metrics.definitions import EXACT, added, ratio
from analytics.query.asked import Asked
from analytics.query.figures import ask_figures, build_figures

PRODUCT_METRICS = (
    "gross_sales",
    "units",
    "discounts",
    "returns",
    "net_sales",
    "cost_of_goods",
    "gross_profit",
    "profit_margin",
    "cost_coverage",
)
# All that a shop can have sold in a period.
ALL_PRODUCTS = 10_000_000


@dataclass(frozen=True, slots=True)
class ProductOptions:
    """Which rows, in which order."""

    sort: str = "gross_sales"
    order: str = "desc"
    limit: int = 20
    offset: int = 0
    abc_by: str = "gross_sales"


def build_products(
    engine: Engine, lake: Lake, request: AnalyticsRequest, options: ProductOptions
) -> dict[str, Any]:
    """A page of products with figures in the period, and the figures of all sales."""
    by_product = Asked(
        metrics=PRODUCT_METRICS,
        dimensions=("product",),
        sort=options.sort,
        is_descending=options.order == "desc",
        limit=options.limit,
        offset=options.offset,
    )
    answer = build_figures(engine, lake, request, by_product)
    # each is ranked among all, on whatever page it is; what sold only before is there, too
    question = Question(engine, lake, request)
    # by all metrics, for a product has a row where any of them has
    ranking = replace(by_product, sort=options.abc_by, offset=0, limit=ALL_PRODUCTS)
    rows = ask_figures(question, ranking, is_compared=question.comparison is not None)
    amount = f"now_amount_{options.abc_by}"
    classes = classify((row["key_product"], row[amount] or Decimal(0)) for row in rows)
    whole = answer["totals"]["metrics"][options.abc_by]
    del answer["metrics"], answer["dimensions"], answer["has_next"]
    parts = answer["data"]
    answer["data"] = [
        {
            "product_id": (product_id := part.pop("dimensions")["product"]),
            "name": part.pop("labels")["product"],
            **part,
            "share_of_sales": ratio(part["metrics"][options.abc_by], whole),
            "abc_class": classes[product_id],
        }
        for part in parts
    ]
    count = len(rows)
    return {
        **answer,
        "abc_by": options.abc_by,
        "pagination": {
            "offset": options.offset,
            "limit": options.limit,
            "total": count,
            "has_more": options.offset + len(parts) < count,
        },
    }


def classify(sales: Iterable[tuple[str | None, Decimal]]) -> dict[str | None, str]:
    """The class of each by the rule of `abc_class` (metrics/inventory.py)."""
    ranked = sorted(sales, key=lambda pair: (-pair[1], pair[0] is None, pair[0] or ""))
    whole = added(amount for _, amount in ranked if amount > 0)
    classes: dict[str | None, str] = {}
    before = Decimal(0)
    for key, amount in ranked:
        share = EXACT.multiply(before, 100)
        if amount <= 0 or share >= EXACT.multiply(whole, 95):
            classes[key] = "C"
        else:
            classes[key] = "A" if share < EXACT.multiply(whole, 80) else "B"
        before = EXACT.add(before, amount)
    return classes
