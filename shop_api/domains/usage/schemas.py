"""What usage takes and gives over HTTP."""

from marshmallow import Schema, fields

from shop_api.domains.insights.schemas import PeriodQuery, PeriodSchema
from shop_api.domains.insights.service import PERIOD_NAMES
from shop_api.web.fields import Instant, one_of
from shop_api.web.figures import number


class UsageQuery(PeriodQuery):
    """Which usage: of which days."""

    period = fields.String(
        # what was asked before the first sale is usage, too: there is no first day of it
        validate=one_of(*(name for name in PERIOD_NAMES if name != "all")),
        metadata={"description": "Days up to today in the tenant's timezone. Default `30d`."},
    )


class UsageFigures(Schema):
    """What was asked."""

    requests = number("Requests answered, refusals and failures too.")
    refusals = number("Of them, those answered 429.")
    cache_hits = number("Of them, those answered from a cache.")
    request_bytes = number("Declared sizes of the requests' bodies.")
    response_bytes = number("Sizes of the answers' bodies as sent; streams are not counted.")
    duration_seconds = fields.Decimal(
        required=True, metadata={"description": "Σ time to the answer, to the microsecond."}
    )


class UsagePointSchema(UsageFigures):
    """What was asked in a stretch of time."""

    date = fields.String(required=True, metadata={"example": "2026-03-01"})


class EndpointUsageSchema(UsageFigures):
    """What was asked of an endpoint, and answered so."""

    method = fields.String(required=True, metadata={"example": "GET"})
    route = fields.String(
        required=True,
        metadata={
            "description": "`none` when a request was refused before its route was known.",
            "example": "/api/v1/products",
        },
    )
    status_class = fields.String(required=True, metadata={"example": "2xx"})


class UsageSchema(Schema):
    """What a tenant asked of the API in a period."""

    as_of = Instant(required=True, metadata={"description": "When the snapshot was made."})
    snapshot = fields.String(required=True, metadata={"example": "42"})
    timezone = fields.String(required=True, metadata={"example": "America/Sao_Paulo"})
    period = fields.Nested(PeriodSchema, required=True)
    interval = fields.String(required=True, metadata={"example": "day"})
    totals = fields.Nested(UsageFigures, required=True)
    series = fields.List(fields.Nested(UsagePointSchema), required=True)
    by_endpoint = fields.List(
        fields.Nested(EndpointUsageSchema),
        required=True,
        metadata={"description": "Most asked first."},
    )
