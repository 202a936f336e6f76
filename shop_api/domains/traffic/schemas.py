"""What traffic figures take and give over HTTP."""

from marshmallow import Schema, fields

from shop_api.domains.insights.schemas import (
    COMPARED_WITH,
    ComparedPeriodSchema,
    FunnelStepSchema,
    PeriodQuery,
    PeriodSchema,
)
from shop_api.domains.insights.service import COMPARISONS, PERIOD_NAMES
from shop_api.web.fields import FlagParameter, Instant, one_of
from shop_api.web.figures import (
    OpenedComparedSchema,
    OpenedSchema,
    number,
    relative_change,
    share,
)


class TrafficQuery(PeriodQuery):
    """Which traffic: of which days, compared with what."""

    period = fields.String(
        # visitors came before the first sale: there is no first day of them
        validate=one_of(*(name for name in PERIOD_NAMES if name != "all")),
        metadata={"description": "Days up to today in the tenant's timezone. Default `30d`."},
    )
    compare = fields.String(validate=one_of(*COMPARISONS), metadata={"description": COMPARED_WITH})
    include_bots = FlagParameter(
        metadata={"description": "`true`: count what known crawlers did, too. Default `false`."}
    )


class TrafficFigures(Schema):
    """Every traffic metric."""

    sessions = number("Visits with an event in it; one over midnight is one of each day.")
    product_view_sessions = number("Of them, those with a product view or a later step.")
    cart_sessions = number("Of them, those with something put into a cart or a later step.")
    checkout_sessions = number("Of them, those with a checkout started or a purchase.")
    converted_sessions = number("Of them, those with a purchase.")
    visitors = number("Distinct visitors.")
    page_views = number()
    conversion_rate = share("converted_sessions ÷ sessions.")


class TrafficPointSchema(TrafficFigures, OpenedSchema):
    """Every traffic metric of a stretch of time."""

    date = fields.String(required=True, metadata={"example": "2026-03-01"})


class TrafficChangeSchema(Schema):
    """The relative change of every traffic metric."""

    sessions = relative_change()
    product_view_sessions = relative_change()
    cart_sessions = relative_change()
    checkout_sessions = relative_change()
    converted_sessions = relative_change()
    visitors = relative_change()
    page_views = relative_change()
    conversion_rate = relative_change()


class SessionsSchema(OpenedSchema):
    """Sessions that have something in common."""

    sessions = number()
    converted_sessions = number("Of them, those with a purchase.")
    conversion_rate = share("converted_sessions ÷ sessions.")


class ReferrerSchema(SessionsSchema):
    """Sessions that came from one host."""

    referrer_host = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Null: from none.", "example": "www.example.com"},
    )


class CampaignSchema(SessionsSchema):
    """Sessions that landed with the same utm parameters."""

    utm_source = fields.String(required=True, allow_none=True, metadata={"example": "newsletter"})
    utm_medium = fields.String(required=True, allow_none=True, metadata={"example": "email"})
    utm_campaign = fields.String(required=True, allow_none=True, metadata={"example": "spring"})


class DeviceSchema(SessionsSchema):
    """Sessions on one class of device."""

    device = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Null: not told.", "example": "mobile"},
    )


class SourcesSchema(Schema):
    """Where sessions came from, by their first event in the period: the twenty with the most."""

    by_referrer = fields.List(fields.Nested(ReferrerSchema), required=True)
    by_campaign = fields.List(fields.Nested(CampaignSchema), required=True)


class PageSchema(Schema):
    """A page, and how often it was viewed."""

    path = fields.String(required=True, metadata={"example": "/products/fig-mug"})
    page_views = number()
    sessions = number("Sessions that viewed it.")


class ViewedProductSchema(Schema):
    """A product, and how often it was viewed and put into a cart."""

    product_id = fields.String(required=True)
    name = fields.String(required=True, allow_none=True)
    sku = fields.String(required=True, allow_none=True)
    product_views = number()
    cart_additions = number("How often it was put into a cart.")
    sessions = number("Sessions that viewed it or put it into a cart.")


class TrafficSchema(OpenedComparedSchema):
    """Traffic of a period, compared, over time, and what it is made of."""

    as_of = Instant(
        required=True,
        metadata={"description": "Of the lake. Events are in it a minute after they were sent."},
    )
    snapshot = fields.String(required=True, metadata={"example": "42"})
    timezone = fields.String(required=True, metadata={"example": "America/Sao_Paulo"})
    period = fields.Nested(PeriodSchema, required=True)
    interval = fields.String(required=True, metadata={"example": "day"})
    compared_with = fields.Nested(ComparedPeriodSchema, required=True, allow_none=True)
    include_bots = fields.Boolean(required=True, metadata={"example": False})
    visitors_online = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "description": "Distinct visitors with an event in the last five minutes, now, to some"
            " 1 %; null when that is not known.",
            "example": 12,
        },
    )
    metrics = fields.Nested(TrafficFigures, required=True)
    previous = fields.Nested(TrafficFigures, required=True, allow_none=True)
    change = fields.Nested(TrafficChangeSchema, required=True, allow_none=True)
    funnel = fields.List(fields.Nested(FunnelStepSchema), required=True)
    series = fields.List(fields.Nested(TrafficPointSchema), required=True)
    sources = fields.Nested(SourcesSchema, required=True)
    devices = fields.List(fields.Nested(DeviceSchema), required=True)
    top_pages = fields.List(fields.Nested(PageSchema), required=True)
    top_products = fields.List(fields.Nested(ViewedProductSchema), required=True)
