"""Every metric, defined once: what it is called, what it counts, how it is computed.

Belongs here: names, units, formulas, grain, SQL, and how amounts are rounded. Does not: the metrics
of customers (customers.py), stock (inventory.py) and traffic (traffic.py), statements (queries/)
and periods. REST, push, reports, notebooks and the catalogue read these definitions. The
expressions of sales metrics are sums over rows of the shape of `daily_sales`, so they hold over the
rollup, over facts, over any period and any grouping alike.
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal

from analytics.metrics.customers import CUSTOMERS, OF_CUSTOMERS, RETURNING_CUSTOMER_RATE
from analytics.metrics.inventory import OF_STOCK
from analytics.metrics.metric import Metric, Unit, select_list
from analytics.metrics.traffic import CONVERSION_RATE, TRAFFIC, VISITORS_ONLINE

__all__ = [
    "AVERAGE_ORDER_VALUE",
    "COST_COVERAGE",
    "CUSTOMERS",
    "DAY_GRAIN",
    "METRICS",
    "PAYMENTS",
    "PROFIT_MARGIN",
    "RETURNING_CUSTOMER_RATE",
    "SALES",
    "UNCONVERTED_ORDERS",
    "Metric",
    "Unit",
    "average",
    "money",
    "ratio",
    "select_list",
]

DAY_GRAIN = "basis × local day × currency × channel"


def _sum(name: str, title: str, unit: Unit, formula: str, expression: str) -> Metric:
    return Metric(name, title, unit, formula, DAY_GRAIN, "daily_sales", expression)


def _ratio(name: str, title: str, unit: Unit, formula: str, *sides: str) -> Metric:
    numerator, denominator = sides
    expression = f"({numerator}) / NULLIF({denominator}, 0)"
    return Metric(
        name, title, unit, formula, DAY_GRAIN, "daily_sales", expression, numerator, denominator
    )


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

# Sums over rows of captured payments, as queries/movements_by_payment.sql makes them.
PAYMENTS: tuple[Metric, ...] = (
    Metric(
        "captured_amount",
        "Captured payments",
        "money",
        "Σ captured payments of orders not cancelled, of which refunds take nothing off",
        "payment",
        "payments",
        "sum(captured_amount)",
    ),
    Metric(
        "captured_payments",
        "Payments captured",
        "count",
        "captured payments of orders not cancelled",
        "payment",
        "payments",
        "sum(captured_payments)",
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

# Said beside converted figures, and not asked for: of others it is nothing.
UNCONVERTED_ORDERS = Metric(
    "unconverted_orders",
    "Orders left out of converted figures",
    "count",
    "orders of the period, of all until its end in figures of customers' worth, in another currency"
    " than that of the figures, placed when no rate into it was known",
    "period × currency × channel",
    "orders",
    "count(*)",
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *SALES,
        AVERAGE_ORDER_VALUE,
        PROFIT_MARGIN,
        COST_COVERAGE,
        *PAYMENTS,
        UNCONVERTED_ORDERS,
        *OF_CUSTOMERS,
        *OF_STOCK,
        *TRAFFIC,
        CONVERSION_RATE,
        VISITORS_ONLINE,
    )
}

RATIO_QUANTUM = Decimal("0.0001")
# What DuckDB adds up has up to 38 digits. Python's own 28 are too few for two hundred converted
# orders of the greatest amounts at the greatest rate, which are of 10^22 each.
EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


def money(amount: Decimal | int, digits: int) -> Decimal:
    """An amount with exactly its currency's digits, rounded half up."""
    return Decimal(amount).quantize(Decimal(1).scaleb(-digits), context=EXACT)


def ratio(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    """part ÷ whole to four places; of nothing there is none."""
    if not whole:
        return None
    return EXACT.divide(part, whole).quantize(RATIO_QUANTUM, context=EXACT)


def average(total: Decimal | int, number: int, digits: int) -> Decimal | None:
    """total ÷ number in the currency's digits; of nothing there is none."""
    return money(EXACT.divide(total, number), digits) if number else None


def added(amounts: Iterable[Decimal | int]) -> Decimal:
    """Their sum, to the last digit."""
    whole = Decimal(0)
    for amount in amounts:
        whole = EXACT.add(whole, amount)
    return whole


def relative_change(now: Decimal | int, before: Decimal | int) -> Decimal | None:
    """What it has changed by to four places; None from nothing."""
    return ratio(EXACT.subtract(now, before), EXACT.abs(before))
