"""What figures of customers take and give over HTTP."""

from marshmallow import Schema, fields

from shop_api.domains.insights.schemas import (
    AnalyticsQuery,
    PeriodSchema,
    SalesEnvelopeSchema,
)
from shop_api.domains.insights.service import CUSTOMER_SORTS, FILE_FORMATS, SEGMENT_NAMES
from shop_api.web.fields import Instant, WholeParameter, one_of
from shop_api.web.figures import (
    OpenedComparedSchema,
    OpenedSchema,
    amount,
    number,
    relative_change,
    share,
)
from shop_api.web.pagination import MAX_OFFSET, Pagination

MAX_ROWS = 1_000

SEGMENT_EXAMPLE = {"example": "champions"}


class CustomerFigures(Schema):
    """Who ordered."""

    customers = number("Distinct customers with an order in the period that is not cancelled.")
    new_customers = number("Their first order ever is in the period.")
    returning_customers = number("They placed an order in the period that is not their first ever.")
    returning_customer_rate = share("returning_customers ÷ customers.")
    guest_orders = number("Orders that are not cancelled and name no customer.")


class CustomerPointSchema(CustomerFigures, OpenedSchema):
    """Who ordered in a stretch of time; who ordered in two is a customer of both."""

    date = fields.String(required=True, metadata={"example": "2026-03-01"})


class CustomerChangeSchema(Schema):
    """The relative change of each."""

    customers = relative_change()
    new_customers = relative_change()
    returning_customers = relative_change()
    returning_customer_rate = relative_change()
    guest_orders = relative_change()


class CohortCellSchema(Schema):
    """A cohort in one month (or week)."""

    periods_since = number("Months since that of the first order; 0 is that month itself.")
    date = fields.String(required=True, metadata={"example": "2026-03-01"})
    retained_customers = number("Customers of the cohort with an order in it, not cancelled.")
    retention_rate = share("retained_customers ÷ the cohort's customers.")
    net_sales = amount("What counts in it, of all the cohort's customers.")
    is_complete = fields.Boolean(
        required=True, metadata={"description": "Whether it was over at `until`."}
    )


class CohortSchema(Schema):
    """Customers whose first order ever lies in the same month (or week)."""

    cohort = fields.String(required=True, metadata={"example": "2026-03-01"})
    customers = number("Those of them with an order in the answer's currency and channel.")
    net_sales = amount("Of all its cells.")
    lifetime_value = amount("net_sales ÷ customers. Null of nobody.", allow_none=True)
    cells = fields.List(fields.Nested(CohortCellSchema), required=True)


class CohortsSchema(Schema):
    """The matrix: cohorts of the period, each from its month on."""

    interval = fields.String(
        required=True,
        metadata={"description": "`week` where asked for, else `month`.", "example": "month"},
    )
    until = Instant(required=True, metadata={"description": "The period's end, or now."})
    data = fields.List(fields.Nested(CohortSchema), required=True)


class SegmentSchema(Schema):
    """The customers of a segment."""

    segment = fields.String(required=True, metadata=SEGMENT_EXAMPLE)
    title = fields.String(required=True, metadata={"example": "Champions"})
    rule = fields.String(
        required=True,
        metadata={
            "description": "Which scores make it.",
            "example": "ordered lately, often and for much: recency, frequency and monetary 4 or 5",
        },
    )
    customers = number()
    customer_share = share("Of all customers.")
    orders = number("Of its customers, all by `until`.")
    net_sales = amount("Of its customers, all by `until`.")


class SegmentsSchema(Schema):
    """Every customer who has ordered by `until`, in one of the segments."""

    until = Instant(required=True, metadata={"description": "The period's end, or now."})
    customers = number()
    net_sales = amount()
    segments = fields.List(fields.Nested(SegmentSchema), required=True)


class LifetimeValueSchema(Schema):
    """What a customer has been worth."""

    customers = number("Customers with an order that is not cancelled, by the period's end or now.")
    net_sales = amount("Of all they ordered by then.")
    lifetime_value = amount("net_sales ÷ customers. Null of nobody.", allow_none=True)


class RepeatIntervalSchema(Schema):
    """How long customers take to order again."""

    repeat_orders = number("Orders in the period of customers who had ordered before.")
    mean_days = fields.Decimal(
        required=True,
        allow_none=True,
        metadata={
            "description": "Mean time since the order before, in days of 86 400 s. Null of none.",
            "example": 41.25,
        },
    )
    median_days = fields.Decimal(
        required=True,
        allow_none=True,
        metadata={"description": "The middle one; of two their mean.", "example": 30.5},
    )


class CustomersSchema(SalesEnvelopeSchema, OpenedComparedSchema):
    """Customers of a period, compared and over time; cohorts, segments, worth and intervals."""

    metrics = fields.Nested(CustomerFigures, required=True)
    previous = fields.Nested(CustomerFigures, required=True, allow_none=True)
    change = fields.Nested(CustomerChangeSchema, required=True, allow_none=True)
    series = fields.List(fields.Nested(CustomerPointSchema), required=True)
    cohorts = fields.Nested(CohortsSchema, required=True)
    rfm = fields.Nested(SegmentsSchema, required=True)
    lifetime_value = fields.Nested(LifetimeValueSchema, required=True)
    repeat_interval = fields.Nested(RepeatIntervalSchema, required=True)


class CustomerReportQuery(AnalyticsQuery):
    """Which customers, in which order, in which form."""

    class Meta:
        """What only series and comparisons need."""

        exclude = ("compare", "interval")

    segment = fields.String(
        validate=one_of(*SEGMENT_NAMES), metadata={"description": "Only its customers."}
    )
    sort = fields.String(
        validate=one_of(*CUSTOMER_SORTS),
        metadata={"description": "Default `net_sales`. Customers with the same come by their id."},
    )
    order = fields.String(
        validate=one_of("asc", "desc"), metadata={"description": "Default `desc`."}
    )
    limit = WholeParameter(
        1,
        MAX_ROWS,
        metadata={
            "description": "How many, 1 to 1000. Default 100; of a file all.",
            "example": 100,
        },
    )
    offset = WholeParameter(
        0,
        MAX_OFFSET,
        metadata={"description": "How many rows to pass over, 0 to 100000.", "example": 0},
    )
    format = fields.String(
        validate=one_of("json", *FILE_FORMATS),
        metadata={"description": "Default `json`, in pages; the others are files to download."},
    )


class CustomerRowSchema(Schema):
    """A customer: what they ordered in the period, and what all their orders make of them."""

    customer_id = fields.String(
        required=True, metadata={"example": "01890a5d-ac96-774b-bcce-b302099a8057"}
    )
    segment = fields.String(required=True, metadata=SEGMENT_EXAMPLE)
    currency = fields.String(required=True)
    orders = number("Of the period, not cancelled.")
    gross_sales = amount("Of the period.")
    discounts = amount("Of the period.")
    returns = amount("Of the period.")
    net_sales = amount("Of the period.")
    average_order_value = amount("(gross_sales − discounts) ÷ orders.", allow_none=True)
    first_order_at = Instant(required=True)
    last_order_at = Instant(required=True, metadata={"description": "By `until`."})
    recency_days = number("Whole days of 24 hours from the last order to `until`.")
    frequency = number("All orders by `until` that are not cancelled.")
    monetary = amount("Net sales of all by `until`.")
    recency_score = number("1 to 5; 5 ordered latest.")
    frequency_score = number("1 to 5; 5 ordered most often.")
    monetary_score = number("1 to 5; 5 ordered for most.")


class CustomerReportSchema(Schema):
    """A page of customers."""

    as_of = Instant(required=True)
    snapshot = fields.String(required=True, metadata={"example": "42"})
    timezone = fields.String(required=True, metadata={"example": "America/Sao_Paulo"})
    currency = fields.String(required=True, metadata={"example": "BRL"})
    basis = fields.String(required=True, metadata={"example": "order_date"})
    channel = fields.String(required=True, allow_none=True)
    period = fields.Nested(PeriodSchema, required=True)
    until = Instant(required=True, metadata={"description": "The period's end, or now."})
    converted = SalesEnvelopeSchema._declared_fields["converted"]  # noqa: SLF001
    unconverted_orders = SalesEnvelopeSchema._declared_fields["unconverted_orders"]  # noqa: SLF001
    data = fields.List(fields.Nested(CustomerRowSchema), required=True)
    pagination = fields.Nested(Pagination, required=True)
