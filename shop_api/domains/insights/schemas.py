"""What insights take and give over HTTP."""

import re
from datetime import date
from typing import Any

from marshmallow import Schema, ValidationError, fields

from analytics.dashboard.question import BASES
from analytics.metrics.dimensions import FULFILLMENT_STATUSES
from analytics.periods import COMPARISONS, INTERVALS, PERIOD_NAMES
from shop_api.web.cache_policies import RealTimeQuery
from shop_api.web.fields import Currency, FlagParameter, Instant, Text, one_of
from shop_api.web.figures import (
    OpenedComparedSchema,
    OpenedSchema,
    amount,
    number,
    relative_change,
    rows_link,
    share,
)

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Day(fields.Date):
    """A date as YYYY-MM-DD, nothing that merely can be read as one."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> date:
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            raise ValidationError("Must be a date: YYYY-MM-DD.")
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise ValidationError("Must be a date of the calendar.") from error


class PeriodQuery(Schema):
    """Which days, and how they are cut into points."""

    period = fields.String(
        validate=one_of(*PERIOD_NAMES),
        metadata={"description": "Days up to today in the tenant's timezone. Default `30d`."},
    )
    start = Day(
        data_key="from",
        metadata={"description": "First day, with `to` instead of `period`."},
    )
    end = Day(data_key="to", metadata={"description": "The day after the last."})
    interval = fields.String(
        validate=one_of(*INTERVALS),
        metadata={"description": "Length of a point of a series. Default: by the period's length."},
    )


COMPARED_WITH = (
    "As many days directly before (default), or the same days a year before. While the period's"
    " last day runs, the last day compared with counts up to the same time of day:"
    " `compared_with.until`."
)
CONVERTED = (
    "`true`: orders of all currencies, each amount in the tenant's currency at the rate its order"
    " was placed at. Orders without one are left out: `unconverted_orders`."
)


class AnalyticsQuery(PeriodQuery, RealTimeQuery):
    """Which figures: of which days, by which basis, compared with what."""

    compare = fields.String(
        validate=one_of(*COMPARISONS),
        metadata={"description": COMPARED_WITH},
    )
    basis = fields.String(
        validate=one_of(*BASES),
        metadata={
            "description": "`order_date` (default): returns count on the order's day and cancelled"
            " orders not at all. `event_date`: everything counts on the day it happened."
        },
    )
    currency = Currency(metadata={"description": "Only orders in it. Default: the tenant's."})
    converted: fields.Boolean = FlagParameter(metadata={"description": CONVERTED})
    channel = Text(min_length=1, max_length=40, metadata={"description": "Only its orders."})


class PeriodSchema(Schema):
    """Days, half-open."""

    start = fields.Date(data_key="from", required=True, metadata={"example": "2026-03-01"})
    end = fields.Date(data_key="to", required=True, metadata={"example": "2026-04-01"})


class ComparedPeriodSchema(PeriodSchema):
    """Days, half-open, and how much of them counts."""

    until = Instant(
        required=True,
        metadata={
            "description": "Only what was before this instant counts: the end of the days, or"
            " earlier on the last of them while the period's own last day runs."
        },
    )


class EnvelopeSchema(Schema):
    """What the figures are figures of."""

    as_of = Instant(
        required=True, metadata={"description": "All commits before this instant are in it."}
    )
    snapshot = fields.String(required=True, metadata={"example": "42"})
    timezone = fields.String(required=True, metadata={"example": "America/Sao_Paulo"})
    currency = fields.String(required=True, metadata={"example": "BRL"})
    basis = fields.String(required=True, metadata={"example": "order_date"})
    channel = fields.String(required=True, allow_none=True)
    period = fields.Nested(PeriodSchema, required=True)
    interval = fields.String(required=True, metadata={"example": "day"})
    compared_with = fields.Nested(ComparedPeriodSchema, required=True, allow_none=True)


class SalesEnvelopeSchema(EnvelopeSchema):
    """And whether amounts are converted."""

    converted = fields.Boolean(
        required=True,
        metadata={"description": "Whether orders of all currencies are in it.", "example": False},
    )
    unconverted_orders = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "description": "Of converted figures, the period's orders that are left out, for they"
            " are in another currency and were placed without a rate; of customers all by then.",
            "example": None,
        },
    )


class MoneyPointSchema(OpenedSchema):
    """A point of a series of amounts."""

    date = fields.String(
        required=True,
        metadata={
            "description": "First day of the day, week (Monday) or month; of an hour its first"
            " instant in UTC.",
            "example": "2026-03-01",
        },
    )
    value = amount()


class CountPointSchema(OpenedSchema):
    """A point of a series of counts."""

    date = fields.String(required=True, metadata={"example": "2026-03-01"})
    value = number()


class PaymentMethodSchema(OpenedSchema):
    """Captured payments of one method."""

    method = fields.String(required=True, metadata={"example": "credit_card"})
    amount = amount()
    payments = number()


class SoldSchema(OpenedSchema):
    """What of something was sold."""

    units = number()
    gross_sales = amount()
    discounts = amount()
    returns = amount()
    net_sales = amount()


class CategorySalesSchema(SoldSchema):
    """Sales of a category; null is what has none."""

    category_id = fields.String(required=True, allow_none=True)
    name = fields.String(required=True, allow_none=True)
    product_count = number("Distinct products sold.")


class ProductSalesSchema(SoldSchema):
    """Sales of a product."""

    product_id = fields.String(required=True)
    name = fields.String(required=True, allow_none=True)
    sku = fields.String(required=True, allow_none=True)


class SalesFigures(Schema):
    """The sales metrics but the counts of orders."""

    gross_sales = amount("Σ unit price × quantity of orders not cancelled.")
    discounts = amount("Line discounts and allocated order discounts.")
    returns = amount("Value of goods refunded or returned.")
    net_sales = amount("gross_sales − discounts − returns.")
    shipping = amount("As charged, less refunded.")
    taxes = amount("As charged, less refunded.")
    total_sales = amount("net_sales + taxes + shipping.")
    units = number("Σ quantity.")


class BreakdownSchema(Schema):
    """What the sales are made of."""

    by_payment_method = fields.List(fields.Nested(PaymentMethodSchema), required=True)
    by_category = fields.List(fields.Nested(CategorySalesSchema), required=True)
    top_products = fields.List(
        fields.Nested(ProductSalesSchema),
        required=True,
        metadata={"description": "The ten with the highest gross sales."},
    )


class DashboardRevenueSchema(SalesFigures, BreakdownSchema, OpenedSchema):
    """Revenue on the dashboard."""

    total = amount("total_sales.")
    change = relative_change()
    trend = fields.List(fields.Nested(MoneyPointSchema), required=True)


FulfillmentRows = Schema.from_dict(
    {status: rows_link() for status in FULFILLMENT_STATUSES}, name="FulfillmentRows"
)


class FulfillmentSchema(Schema):
    """Orders not cancelled by how far they are delivered."""

    unfulfilled = number()
    partly = number(data_key="partial")
    fulfilled = number()
    returned = number()
    rows = fields.Nested(FulfillmentRows, required=True)


class DashboardOrdersSchema(OpenedSchema):
    """Orders on the dashboard."""

    total = number("All orders placed, cancelled ones too.")
    change = relative_change()
    pending = number()
    processing = number()
    completed = number()
    cancelled = number()
    average_order_value = amount("(gross_sales − discounts) ÷ orders.", allow_none=True)
    trend = fields.List(fields.Nested(CountPointSchema), required=True)
    fulfillment_status = fields.Nested(FulfillmentSchema, required=True)


class DashboardProductsSchema(Schema):
    """Products on the dashboard."""

    total = number("Products of the catalogue now.")
    active = number()
    draft = number()
    archived = number()
    sold = number("Distinct products sold in the period.")


class DashboardCustomersSchema(OpenedSchema):
    """Customers on the dashboard."""

    total = number("Distinct customers with an order in the period that is not cancelled.")
    new = number("Their first order ever is in the period.")
    returning = number("They placed an order in the period that is not their first ever.")
    returning_customer_rate = fields.Decimal(
        required=True, allow_none=True, metadata={"description": "returning ÷ total."}
    )


class DashboardTrafficSchema(OpenedSchema):
    """Visitors on the dashboard, crawlers left out."""

    sessions = number("Visits with an event in the period.")
    visitors = number("Distinct visitors.")
    page_views = number()
    conversion_rate = share("Sessions with a purchase ÷ sessions.")
    change = relative_change()
    trend = fields.List(fields.Nested(CountPointSchema), required=True)


class FunnelStepSchema(OpenedSchema):
    """A step on the way to a purchase; each holds the sessions of those behind it."""

    step = fields.String(required=True, metadata={"example": "cart_sessions"})
    sessions = number("That came as far as this, or further.")
    share_of_previous = share("Of the sessions of the step before.")
    share = share("Of all sessions.")


class FunnelSchema(Schema):
    """The way from a visit to a purchase."""

    steps = fields.List(fields.Nested(FunnelStepSchema), required=True)
    conversion_rate = share("The last step ÷ the first.")


class DashboardSchema(SalesEnvelopeSchema):
    """A shop at a glance."""

    revenue = fields.Nested(DashboardRevenueSchema, required=True)
    orders = fields.Nested(DashboardOrdersSchema, required=True)
    products = fields.Nested(DashboardProductsSchema, required=True)
    customers = fields.Nested(DashboardCustomersSchema, required=True)
    traffic = fields.Nested(DashboardTrafficSchema, required=True)
    conversion_funnel = fields.Nested(FunnelSchema, required=True)


class RevenueFigures(SalesFigures):
    """Every sales metric."""

    orders = number("Orders not cancelled.")
    average_order_value = amount("(gross_sales − discounts) ÷ orders.", allow_none=True)
    cost_of_goods = amount("Of lines whose cost is known.")
    gross_profit = amount("Net sales of lines whose cost is known − cost_of_goods.")
    profit_margin = share("gross_profit ÷ net sales of lines whose cost is known.")
    cost_coverage = share("Net sales of lines whose cost is known ÷ net_sales.")


class RevenuePointSchema(RevenueFigures, OpenedSchema):
    """Every sales metric of a point in time."""

    date = fields.String(required=True, metadata={"example": "2026-03-01"})


class RevenueChangeSchema(Schema):
    """The relative change of every sales metric."""

    gross_sales = relative_change()
    discounts = relative_change()
    returns = relative_change()
    net_sales = relative_change()
    shipping = relative_change()
    taxes = relative_change()
    total_sales = relative_change()
    units = relative_change()
    orders = relative_change()
    cost_of_goods = relative_change()
    gross_profit = relative_change()
    profit_margin = relative_change()
    cost_coverage = relative_change()
    average_order_value = relative_change()


class RevenueSchema(SalesEnvelopeSchema, BreakdownSchema, OpenedComparedSchema):
    """Sales of a period, compared, over time, and what they are made of."""

    metrics = fields.Nested(RevenueFigures, required=True)
    previous = fields.Nested(RevenueFigures, required=True, allow_none=True)
    change = fields.Nested(RevenueChangeSchema, required=True, allow_none=True)
    series = fields.List(fields.Nested(RevenuePointSchema), required=True)


class OrderFigures(Schema):
    """Counts of orders."""

    placed_orders = number("All orders, cancelled ones too.")
    orders = number("Orders not cancelled.")
    pending_orders = number()
    processing_orders = number()
    completed_orders = number()
    cancelled_orders = number()
    units = number()
    average_order_value = amount(allow_none=True)


class OrderPointSchema(OrderFigures, OpenedSchema):
    """Counts of orders of a point in time."""

    date = fields.String(required=True, metadata={"example": "2026-03-01"})


class OrderChangeSchema(Schema):
    """The relative change of the counts."""

    placed_orders = relative_change()
    orders = relative_change()
    pending_orders = relative_change()
    processing_orders = relative_change()
    completed_orders = relative_change()
    cancelled_orders = relative_change()
    units = relative_change()
    average_order_value = relative_change()


class OrdersSchema(SalesEnvelopeSchema, OpenedComparedSchema):
    """Orders of a period, compared and over time."""

    metrics = fields.Nested(OrderFigures, required=True)
    previous = fields.Nested(OrderFigures, required=True, allow_none=True)
    change = fields.Nested(OrderChangeSchema, required=True, allow_none=True)
    series = fields.List(fields.Nested(OrderPointSchema), required=True)
    fulfillment_status = fields.Nested(FulfillmentSchema, required=True)
