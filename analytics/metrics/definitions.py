"""Every metric, defined once: what it is called, what it counts, how it is computed.

Belongs here: names, units, formulas, grain, SQL. Does not: statements (queries/) and periods. REST,
push, reports, notebooks and the catalogue read these definitions. The expressions of sales metrics
are sums over rows of the shape of `daily_sales`, so they hold over the rollup, over facts, over any
period and any grouping alike.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

Unit = Literal["money", "count", "ratio"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure: `expression` aggregates rows of `source`. A quotient names its two sides too."""

    name: str
    title: str
    unit: Unit
    formula: str
    grain: str
    source: str
    expression: str
    numerator: str | None = None
    denominator: str | None = None

    @property
    def is_additive(self) -> bool:
        """Whether figures of parts add up to the figure of the whole."""
        return self.source == "daily_sales" and self.denominator is None


DAY_GRAIN = "basis × local day × currency × channel"


def _sum(name: str, title: str, unit: Unit, formula: str, expression: str) -> Metric:
    return Metric(name, title, unit, formula, DAY_GRAIN, "daily_sales", expression)


def _ratio(name: str, title: str, unit: Unit, formula: str, *sides: str) -> Metric:
    numerator, denominator = sides
    expression = f"({numerator}) / NULLIF({denominator}, 0)"
    return Metric(
        name, title, unit, formula, DAY_GRAIN, "daily_sales", expression, numerator, denominator
    )


def _customers(name: str, title: str, unit: Unit, formula: str, expression: str) -> Metric:
    return Metric(name, title, unit, formula, "customer × period", "period_customers", expression)


SALES: tuple[Metric, ...] = (
    _sum(
        "gross_sales",
        "Gross sales",
        "money",
        "Σ unit price × quantity of orders not cancelled, before discounts, tax and shipping",
        "sum(gross_sales)",
    ),
    _sum(
        "discounts",
        "Discounts",
        "money",
        "line discounts + allocated order discounts",
        "sum(discounts)",
    ),
    _sum(
        "returns",
        "Returns",
        "money",
        "value of goods refunded or returned; on the refund's day under event_date, on the order's"
        " day under order_date",
        "sum(returns)",
    ),
    _sum(
        "net_sales",
        "Net sales",
        "money",
        "gross_sales − discounts − returns",
        "sum(gross_sales) - sum(discounts) - sum(returns)",
    ),
    _sum("shipping", "Shipping", "money", "shipping as charged, less refunded", "sum(shipping)"),
    _sum("taxes", "Taxes", "money", "taxes as charged, less refunded", "sum(taxes)"),
    _sum(
        "total_sales",
        "Total sales",
        "money",
        "net_sales + taxes + shipping",
        "sum(gross_sales) - sum(discounts) - sum(returns) + sum(shipping) + sum(taxes)",
    ),
    _sum("orders", "Orders", "count", "orders not cancelled", "sum(orders)"),
    _sum(
        "placed_orders",
        "Orders placed",
        "count",
        "all orders, cancelled ones too",
        "sum(orders) + sum(cancelled_orders)",
    ),
    _sum(
        "pending_orders",
        "Pending orders",
        "count",
        "orders now pending, on the day they were placed",
        "sum(pending_orders)",
    ),
    _sum(
        "processing_orders",
        "Orders in processing",
        "count",
        "orders now processing, on the day they were placed",
        "sum(processing_orders)",
    ),
    _sum(
        "completed_orders",
        "Completed orders",
        "count",
        "orders now completed, on the day they were placed",
        "sum(completed_orders)",
    ),
    _sum(
        "cancelled_orders",
        "Cancelled orders",
        "count",
        "orders cancelled; on the cancel day under event_date, on the order's day under order_date",
        "sum(cancelled_orders)",
    ),
    _sum("units", "Units sold", "count", "Σ quantity of orders not cancelled", "sum(units)"),
    _sum(
        "cost_of_goods",
        "Cost of goods",
        "money",
        "Σ unit cost × quantity of lines whose cost is known; goods that come back give none back",
        "sum(cost_of_goods)",
    ),
    _sum(
        "gross_profit",
        "Gross profit",
        "money",
        "net_sales of lines whose cost is known − cost_of_goods",
        "sum(costed_sales) - sum(cost_of_goods)",
    ),
)

AVERAGE_ORDER_VALUE = _ratio(
    "average_order_value",
    "Average order value",
    "money",
    "(gross_sales − discounts) ÷ orders",
    "sum(gross_sales) - sum(discounts)",
    "sum(orders)",
)

PROFIT_MARGIN = _ratio(
    "profit_margin",
    "Profit margin",
    "ratio",
    "gross_profit ÷ net_sales of lines whose cost is known",
    "sum(costed_sales) - sum(cost_of_goods)",
    "sum(costed_sales)",
)

COST_COVERAGE = _ratio(
    "cost_coverage",
    "Cost coverage",
    "ratio",
    "net_sales of lines whose cost is known ÷ net_sales",
    "sum(costed_sales)",
    "sum(gross_sales) - sum(discounts) - sum(returns)",
)

# Over one row per customer who ordered in the period: `orders` and `last_order_at` there, within
# the channel and currency asked for; `first_order_at` ever, in any.
CUSTOMERS: tuple[Metric, ...] = (
    _customers(
        "customers",
        "Customers",
        "count",
        "distinct customers with an order in the period that is not cancelled",
        "count(*)",
    ),
    _customers(
        "new_customers",
        "New customers",
        "count",
        "customers with an order in the period whose first order ever, in any channel and"
        " currency, is in the period too",
        "count(CASE WHEN first_order_at >= $start_at THEN 1 END)",
    ),
    _customers(
        "returning_customers",
        "Returning customers",
        "count",
        "customers who placed in the period an order that is not their first ever; one who came and"
        " came back within the period is new and returning",
        "count(CASE WHEN orders > 1 OR last_order_at > first_order_at THEN 1 END)",
    ),
)

RETURNING_CUSTOMER_RATE = Metric(
    "returning_customer_rate",
    "Returning customer rate",
    "ratio",
    "returning_customers ÷ customers",
    "customer × period",
    "period_customers",
    "count(CASE WHEN orders > 1 OR last_order_at > first_order_at THEN 1 END)"
    " / NULLIF(count(*), 0)",
    "returning_customers",
    "customers",
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *SALES,
        AVERAGE_ORDER_VALUE,
        PROFIT_MARGIN,
        COST_COVERAGE,
        *CUSTOMERS,
        RETURNING_CUSTOMER_RATE,
    )
}

RATIO_QUANTUM = Decimal("0.0001")


def select_list(metrics: tuple[Metric, ...]) -> str:
    """The metrics as the columns of a SELECT."""
    return ",\n    ".join(f"{m.expression} AS {m.name}" for m in metrics)


def money(amount: Decimal | int, digits: int) -> Decimal:
    """An amount with exactly its currency's digits, rounded half up."""
    return Decimal(amount).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


def ratio(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    """part ÷ whole to four places; of nothing there is none."""
    if not whole:
        return None
    return (Decimal(part) / Decimal(whole)).quantize(RATIO_QUANTUM, rounding=ROUND_HALF_UP)


def average(total: Decimal | int, number: int, digits: int) -> Decimal | None:
    """total ÷ number in the currency's digits; of nothing there is none."""
    return money(Decimal(total) / number, digits) if number else None
