"""Every dimension, defined once: by what figures can be cut, filtered and opened.

Belongs here: names, titles, SQL, and what each is known of. Does not: statements (queries/) and
the answers (query/). The SQL reads a row of movements_by_order or movements_by_line, of the clock
and of what is looked up beside it. How an order was paid, what discount it was given and who
ordered is told of the order as a whole, and so of its lines and refunds: it may be paid in several
ways and have several discounts, and no fact says which part of a sale, or of a refund, each of them
is of. Such an order has a value of its own.
"""

import re
from dataclasses import dataclass
from typing import Literal

from analytics.metrics.definitions import METRICS, Metric
from analytics.metrics.segments import SEGMENT_NAMES
from analytics.metrics.sums import summed_columns

# What of a shop's sales is known by order, and what by line: `line` is of both. Customers are
# counted by their orders, sessions by their events, payments one by one.
Grain = Literal["order", "line", "payment", "customer", "session"]
Kind = Literal["text", "whole", "time"]

# The measures that lines tell; the others belong to the order as a whole.
LINE_MEASURES = frozenset(
    {"units", "gross_sales", "discounts", "returns", "cost_of_goods", "costed_sales"}
)


def is_of_sales(metric: Metric) -> bool:
    """Whether it is made of sums over movements, and so is told by dimensions."""
    return metric.source == "daily_sales"


# What an answer says where several are of one order, or none is named. The order's own begins with
# no colon: one that does gets a second.
MIXED, SEVERAL, UNNAMED = ":mixed", ":several", ":unnamed"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

SALES, CUSTOMERS, TRAFFIC = "daily_sales", "period_customers", "period_sessions"
PAYMENTS = "payments"
DEVICES = ("desktop", "mobile", "tablet", "other")
FULFILLMENT_STATUSES = ("unfulfilled", "partial", "fulfilled", "returned")
OF_ORDERS = frozenset({SALES, PAYMENTS, CUSTOMERS})
ANYTHING = OF_ORDERS | {TRAFFIC}


@dataclass(frozen=True, slots=True)
class Dimension:
    """A way to cut figures: `expression` gives a movement's value; null is that it has none.

    `grain` is the one that is needed to know it. `values` says what values look like.
    """

    name: str
    title: str
    description: str
    kind: Kind
    grain: Grain
    values: str
    expression: str
    reads_clock: bool = False
    # what must be looked up in other tables: a parameter `needs_…` of the movements
    needs: str | None = None
    # the query, of grain order_id, that knows it
    lookup: str | None = None
    # of the metrics of which sources it is known
    sources: frozenset[str] = OF_ORDERS
    # all values there can be; none: those of a shape, or any text
    choices: tuple[str | int, ...] = ()
    shape: str | None = None

    def refusal(self, value: str | int) -> str | None:
        """What a value must be that this is none of; None of one that there can be."""
        if self.choices and value not in self.choices:
            return f"`{self.name}` must be one of {', '.join(map(str, self.choices))}"
        if self.shape is not None and not re.fullmatch(self.shape, str(value), re.ASCII):
            return f"`{self.name}` must be {self.values.partition(';')[0]}"
        return None

    def is_known_of(self, metric: Metric) -> bool:
        """Whether the metric can be told by this dimension."""
        if metric.source not in self.sources:
            return False
        return self.grain != "line" or summed_columns(metric.expression) <= LINE_MEASURES


TIME = Dimension(
    "time",
    "Time",
    "When it counts, by the basis asked for: points of the length `interval`.",
    "time",
    "order",
    "first day of the day, week (Monday) or month; of an hour its first instant in UTC",
    "clock.bucket",
    reads_clock=True,
    sources=ANYTHING,
)
# The first second of the clock hour: as the wall shows it, or where clocks moved into it.
HOUR_EXPRESSION = (
    "GREATEST((CAST(floor(epoch(moved_at)) AS BIGINT) + clock.offset_seconds) // 3600 * 3600"
    " - clock.offset_seconds, clock.first_second)"
)

_ALL = (
    TIME,
    Dimension(
        "hour_of_day",
        "Hour of day",
        "The hour on the shop's wall clock.",
        "whole",
        "order",
        "0 to 23",
        "(CAST(floor(epoch(moved_at)) AS BIGINT) + clock.offset_seconds) // 3600 % 24",
        reads_clock=True,
        sources=ANYTHING,
        choices=tuple(range(24)),
    ),
    Dimension(
        "weekday",
        "Weekday",
        "The day of the week in the shop's timezone.",
        "whole",
        "order",
        "1 (Monday) to 7 (Sunday)",
        "clock.weekday",
        reads_clock=True,
        sources=ANYTHING,
        choices=tuple(range(1, 8)),
    ),
    Dimension(
        "channel", "Channel", "The order's channel.", "text", "order", "web, pos, …", "channel"
    ),
    Dimension(
        "country",
        "Country",
        "The country the order is shipped to.",
        "text",
        "order",
        "a code of ISO 3166-1, two capital letters; null without a shipping address",
        "country",
        needs="orders",
        shape="[A-Z]{2}",
    ),
    Dimension(
        "region",
        "Region",
        "The region or state the order is shipped to.",
        "text",
        "order",
        "as the address says it; null where it says none",
        "NULLIF(region, '')",
        needs="orders",
    ),
    Dimension(
        "fulfillment_status",
        "Fulfillment status",
        "How far the order is delivered now.",
        "text",
        "order",
        ", ".join(FULFILLMENT_STATUSES),
        "fulfillment_status",
        needs="orders",
        choices=FULFILLMENT_STATUSES,
    ),
    Dimension(
        "payment_method",
        "Payment method",
        "How the order was paid: of its captured payments. Of a payment, how it was made.",
        "text",
        "order",
        f"the method; `{MIXED}` of an order paid in several; null where nothing was captured; one"
        " that begins with a colon has it twice",
        "payment_method",
        lookup="order_payment_methods",
    ),
    Dimension(
        "discount",
        "Discount",
        "The discount the order was given.",
        "text",
        "order",
        f"its code, else its title; `{SEVERAL}` of an order with some; `{UNNAMED}` of an imported"
        " order that does not name its own; null without a discount; a title that begins with a"
        " colon has it twice",
        "discount",
        lookup="order_discounts",
    ),
    Dimension(
        "customer",
        "Customer",
        "Who ordered.",
        "text",
        "order",
        "a customer's id, a UUID; null of a guest",
        "customer_id",
        needs="orders",
        shape=UUID,
    ),
    Dimension(
        "customer_type",
        "Customer type",
        "Whether the order is its customer's first ever, in any channel and currency.",
        "text",
        "order",
        "`new` or `returning`; null of a guest",
        "customer_type",
        lookup="order_customer_types",
        choices=("new", "returning"),
    ),
    Dimension(
        "customer_segment",
        "Customer segment",
        "The segment of the order's customer at the end of the period, or now while it runs, in the"
        " currency asked for and all channels.",
        "text",
        "order",
        "champions, loyal, …, as `GET /analytics/customers` names them; null of a guest, and of who"
        " has no order that is not cancelled by then",
        "customer_segment",
        lookup="order_customer_segments",
        choices=SEGMENT_NAMES,
    ),
    Dimension(
        "product",
        "Product",
        "The product sold.",
        "text",
        "line",
        "a product's id, a UUID; null of what is of no product of the catalogue",
        "product_id",
        shape=UUID,
        sources=frozenset({SALES}),
    ),
    Dimension(
        "variant",
        "Variant",
        "The variant sold.",
        "text",
        "line",
        "a variant's id, a UUID; null of what is of no variant of the catalogue",
        "variant_id",
        shape=UUID,
        needs="variants",
        sources=frozenset({SALES}),
    ),
    Dimension(
        "category",
        "Category",
        "The first category, by path, that the product is in now.",
        "text",
        "line",
        "a category's id, a UUID; null of what is in none",
        "category_id",
        shape=UUID,
        needs="categories",
        sources=frozenset({SALES}),
    ),
    *(
        Dimension(
            name,
            title,
            f"{description}, by the first event of the session in the period.",
            "text",
            "session",
            values,
            name if name != "referrer" else "referrer_host",
            lookup="session_landings",
            sources=frozenset({TRAFFIC}),
            choices=DEVICES if name == "device" else (),
        )
        for name, title, description, values in (
            (
                "referrer",
                "Referrer",
                "Where visitors came from",
                "a host; null of those who came from none",
            ),
            ("utm_source", "Campaign source", "The campaign's source", "as the URL had it"),
            ("utm_medium", "Campaign medium", "The campaign's medium", "as the URL had it"),
            ("utm_campaign", "Campaign", "The campaign", "as the URL had it"),
            ("device", "Device", "What visitors used", "desktop, mobile, tablet or other"),
        )
    ),
)

DIMENSIONS: dict[str, Dimension] = {dimension.name: dimension for dimension in _ALL}

# The metrics that can be asked by dimensions. Orders of guests are among `orders`.
ASKABLE: dict[str, Metric] = {
    name: metric
    for name, metric in METRICS.items()
    if metric.source in ANYTHING and name != "guest_orders"
}


def dimensions_of(metric: Metric) -> list[str]:
    """The names of the dimensions a metric can be told by."""
    return [d.name for d in DIMENSIONS.values() if d.is_known_of(metric)]


def metrics_of(dimension: Dimension) -> list[str]:
    """The names of the metrics that can be told by a dimension."""
    return [metric.name for metric in ASKABLE.values() if dimension.is_known_of(metric)]
