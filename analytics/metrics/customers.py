"""The metrics of customers: who ordered, who came back, what they are worth.

Belongs here: definitions over rows that queries/ make of orders, one source per kind of row. Does
not: the segments' table (segments.py) and the statements.
"""

from analytics.metrics.metric import Metric, Unit
from analytics.metrics.segments import segment_expression

SCORES = (1, 2, 3, 4, 5)
DAY_SECONDS = 86_400


def _customers(name: str, title: str, formula: str, expression: str) -> Metric:
    return Metric(
        name, title, "count", formula, "customer × period", "period_customers", expression
    )


# Over one row per customer who ordered in the period: `orders` and `last_order_at` there, within
# the channel and currency asked for; `first_order_at` ever, in any, and whether it `is_new` there.
# The orders of guests are one row more, without `customer_id`.
CUSTOMERS: tuple[Metric, ...] = (
    _customers(
        "customers",
        "Customers",
        "distinct customers with an order in the period that is not cancelled",
        "count(customer_id)",
    ),
    _customers(
        "new_customers",
        "New customers",
        "customers with an order in the period whose first order ever, in any channel and"
        " currency, is in the period too",
        "count(CASE WHEN is_new THEN 1 END)",
    ),
    _customers(
        "returning_customers",
        "Returning customers",
        "customers who placed in the period an order that is not their first ever; one who came and"
        " came back within the period is new and returning",
        "count(CASE WHEN orders > 1 OR last_order_at > first_order_at THEN customer_id END)",
    ),
    _customers(
        "guest_orders",
        "Orders of guests",
        "orders in the period that are not cancelled and name no customer",
        "coalesce(sum(CASE WHEN customer_id IS NULL THEN orders END), 0)",
    ),
)


def _quotient(
    name: str, title: str, unit: Unit, formula: str, grain: str, source: str, *sides: str
) -> Metric:
    numerator, denominator = sides
    expression = f"({numerator}) / NULLIF({denominator}, 0)"
    return Metric(name, title, unit, formula, grain, source, expression, numerator, denominator)


RETURNING_CUSTOMER_RATE = _quotient(
    "returning_customer_rate",
    "Returning customer rate",
    "ratio",
    "returning_customers ÷ customers",
    "customer × period",
    "period_customers",
    "count(CASE WHEN orders > 1 OR last_order_at > first_order_at THEN customer_id END)",
    "count(customer_id)",
)

# Over one row per customer of a cohort × bucket in which anything of theirs counts.
COHORT_CELL: tuple[Metric, ...] = (
    Metric(
        "retained_customers",
        "Retained customers",
        "count",
        "customers of a cohort with an order in the bucket that is not cancelled",
        "cohort × bucket",
        "cohort_customers",
        "count(CASE WHEN cohort_customers.orders > 0 THEN 1 END)",
    ),
    Metric(
        "cohort_net_sales",
        "Net sales of a cohort",
        "money",
        "gross_sales − discounts − returns of a cohort's customers that count in the bucket",
        "cohort × bucket",
        "cohort_customers",
        "sum(cohort_customers.net_sales)",
    ),
)


def _score(name: str, title: str, formula: str, expression: str) -> Metric:
    return Metric(name, title, "score", formula, "customer", "customer_values", expression)


# Of N customers; with one alone there are no others, and N − 1 counts as 1. Who shares a value
# shares the score: those who ordered equally lately the better, of equal orders or sales the lower.
RFM_SCORES: tuple[Metric, ...] = (
    _score(
        "recency_score",
        "Recency score",
        "5 − ⌊5 × customers whose last order is fewer whole days old ÷ (N − 1)⌋, at least 1",
        "5 - LEAST(4, 5 * more_recent // others)",
    ),
    _score(
        "frequency_score",
        "Frequency score",
        "1 + ⌊5 × customers with fewer orders ÷ (N − 1)⌋, at most 5",
        "1 + LEAST(4, 5 * less_frequent // others)",
    ),
    _score(
        "monetary_score",
        "Monetary score",
        "1 + ⌊5 × customers with lower net sales ÷ (N − 1)⌋, at most 5",
        "1 + LEAST(4, 5 * less_monetary // others)",
    ),
)

SEGMENT = Metric(
    "segment",
    "Segment",
    "label",
    "named by the three scores, as the answers say in words",
    "customer",
    "customer_values",
    segment_expression(),
)

# Over one row per customer who has ordered.
CUSTOMER_VALUES: tuple[Metric, ...] = (
    Metric(
        "segment_customers",
        "Customers of a segment",
        "count",
        "customers with an order that is not cancelled, by the period's end",
        "segment",
        "customer_values",
        "count(*)",
    ),
    Metric(
        "segment_orders",
        "Orders of a segment",
        "count",
        "orders not cancelled of its customers, by the period's end",
        "segment",
        "customer_values",
        "sum(frequency)",
    ),
    Metric(
        "segment_net_sales",
        "Net sales of a segment",
        "money",
        "gross_sales − discounts − returns of its customers, by the period's end",
        "segment",
        "customer_values",
        "sum(monetary)",
    ),
)

LIFETIME_VALUE = _quotient(
    "lifetime_value",
    "Lifetime value",
    "money",
    "net sales of customers with an order, all of them by the period's end ÷ these customers",
    "customer",
    "customer_values",
    "sum(monetary)",
    "count(*)",
)

_MIDDLE = "place IN ((intervals + 1) // 2, intervals // 2 + 1)"

MEAN_REPEAT_INTERVAL = _quotient(
    "mean_repeat_interval",
    "Mean repeat interval",
    "days",
    "Σ time since the same customer's order before ÷ repeated orders in the period; exact durations"
    " to the second, in days of 86 400 s",
    "order that is not its customer's first",
    "repeat_intervals",
    "sum(seconds)",
    f"count(*) * {DAY_SECONDS}",
)
MEDIAN_REPEAT_INTERVAL = _quotient(
    "median_repeat_interval",
    "Median repeat interval",
    "days",
    "the middle of the times since the same customer's order before, of repeated orders in the"
    " period; of two middles their mean",
    "order that is not its customer's first",
    "repeat_intervals",
    f"sum(CASE WHEN {_MIDDLE} THEN seconds END)",
    f"count(CASE WHEN {_MIDDLE} THEN 1 END) * {DAY_SECONDS}",
)
REPEAT_INTERVALS = Metric(
    "repeat_intervals",
    "Repeated orders",
    "count",
    "orders in the period of customers who had ordered before",
    "order that is not its customer's first",
    "repeat_intervals",
    "count(*)",
)

OF_CUSTOMERS: tuple[Metric, ...] = (
    *CUSTOMERS,
    RETURNING_CUSTOMER_RATE,
    *COHORT_CELL,
    *RFM_SCORES,
    SEGMENT,
    *CUSTOMER_VALUES,
    LIFETIME_VALUE,
    REPEAT_INTERVALS,
    MEAN_REPEAT_INTERVAL,
    MEDIAN_REPEAT_INTERVAL,
)


def quotient_sides(*metrics: Metric) -> str:
    """Both sides of quotients as columns: they are divided in Python, from exact numbers."""
    return ",\n    ".join(
        f"{side} AS {m.name}_{end}"
        for m in metrics
        for side, end in ((m.numerator, "numerator"), (m.denominator, "denominator"))
    )
