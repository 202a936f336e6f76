"""What reports give over HTTP."""

from marshmallow import Schema, fields

from shop_api.web.fields import Id, Instant, one_of
from shop_api.web.pagination import PageInfo, PageQuery

KINDS = ("daily_sales",)


class ReportPeriodSchema(Schema):
    """Days in the tenant's timezone, half-open."""

    start = fields.Date(data_key="from", required=True, metadata={"example": "2026-03-07"})
    end = fields.Date(data_key="to", required=True, metadata={"example": "2026-03-08"})


class ReportFileSchema(Schema):
    """A form of a report."""

    format = fields.String(required=True, metadata={"example": "html"})
    size_bytes = fields.Integer(required=True)
    url = fields.String(required=True, metadata={"description": "Where to download it."})


class ReportSchema(Schema):
    """A report, made once of one lake snapshot."""

    id = Id(required=True)
    kind = fields.String(required=True, metadata={"example": "daily_sales"})
    title = fields.String(required=True, metadata={"example": "Sales of 7 March 2026"})
    period = fields.Nested(ReportPeriodSchema, required=True)
    snapshot = fields.String(required=True, metadata={"example": "42"})
    as_of = Instant(required=True)
    created_at = Instant(required=True)
    files = fields.List(fields.Nested(ReportFileSchema), required=True)


class ReportPage(Schema):
    """A page of reports."""

    data = fields.List(fields.Nested(ReportSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class ReportQuery(PageQuery):
    """Which reports."""

    sort = fields.String(validate=one_of("period_from"))
    kind = fields.String(validate=one_of(*KINDS))
