"""The metrics of storefront traffic, each defined once.

Belongs here: what `definitions` is for sales, for visits. The expressions aggregate one row per
session with events in the period: `visitor_id`, `page_views`, and `furthest_step`, from 0 (came)
over 1 (saw a product), 2 (cart), 3 (checkout) to 4 (purchase).
"""

from analytics.metrics.metric import Metric

SOURCE = "period_sessions"
GRAIN = "session × period"


def _count(name: str, title: str, formula: str, expression: str) -> Metric:
    return Metric(name, title, "count", formula, GRAIN, SOURCE, expression)


def _step(name: str, title: str, formula: str, step: int) -> Metric:
    expression = f"count(CASE WHEN furthest_step >= {step} THEN 1 END)"
    return _count(name, title, formula, expression)


# The steps of the funnel, in order: each holds the next.
FUNNEL: tuple[Metric, ...] = (
    _count(
        "sessions",
        "Sessions",
        "visits with an event in the period; one over midnight is one of each day",
        "count(*)",
    ),
    _step(
        "product_view_sessions",
        "Sessions that saw a product",
        "sessions with a product view, or with a later step",
        1,
    ),
    _step(
        "cart_sessions",
        "Sessions with a cart",
        "sessions that put something into a cart, or with a later step",
        2,
    ),
    _step(
        "checkout_sessions",
        "Sessions that reached checkout",
        "sessions that started a checkout, or purchased",
        3,
    ),
    _step("converted_sessions", "Sessions that purchased", "sessions with a purchase", 4),
)

TRAFFIC: tuple[Metric, ...] = (
    *FUNNEL,
    _count(
        "visitors",
        "Visitors",
        "distinct visitors with an event in the period",
        "count(DISTINCT visitor_id)",
    ),
    _count("page_views", "Page views", "page views in the period", "sum(page_views)"),
)

CONVERSION_RATE = Metric(
    "conversion_rate",
    "Conversion rate",
    "ratio",
    "converted_sessions ÷ sessions",
    GRAIN,
    SOURCE,
    "count(CASE WHEN furthest_step >= 4 THEN 1 END) / NULLIF(count(*), 0)",
    "count(CASE WHEN furthest_step >= 4 THEN 1 END)",
    "count(*)",
)

# Known at the moment, not of a period: from Redis, to some 1 %.
VISITORS_ONLINE = Metric(
    "visitors_online",
    "Visitors online",
    "count",
    "distinct visitors, no bots, with an event in the last five minutes, to some 1 %",
    "visitor × 30 seconds",
    "Redis: a HyperLogLog per 30 seconds",
    "count(DISTINCT visitor_id)",
)
