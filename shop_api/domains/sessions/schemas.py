"""What sessions take and give over HTTP."""

from marshmallow import Schema, fields

from shop_api.web.fields import FlagParameter, Id, Instant, Money, Text, one_of
from shop_api.web.pagination import PageInfo, PageQuery

KINDS = ("table", "till")


class SessionBody(Schema):
    """A session to open."""

    kind = fields.String(required=True, validate=one_of(*KINDS), metadata={"example": "table"})
    name = Text(
        required=True,
        min_length=1,
        max_length=100,
        metadata={"description": "One of a kind is open at a time.", "example": "Table 4"},
    )
    location_id = Id(allow_none=True)
    channel = Text(
        min_length=1,
        max_length=40,
        metadata={"description": "Of its orders. Default: pos.", "example": "dine_in"},
    )
    note = Text(max_length=2000, allow_none=True)


class SessionSchema(Schema):
    """A table or till; its sums are of orders that are not cancelled."""

    id = Id(required=True)
    kind = fields.String(required=True, validate=one_of(*KINDS))
    name = fields.String(required=True)
    location_id = Id(required=True, allow_none=True)
    channel = fields.String(required=True)
    note = fields.String(required=True, allow_none=True)
    is_open = fields.Boolean(required=True)
    order_count = fields.Integer(required=True)
    currency = fields.String(required=True)
    total = Money(required=True)
    paid_total = Money(required=True)
    opened_by = fields.String(
        required=True, metadata={"description": "`user:<id>` or `api_key:<id>`."}
    )
    opened_at = Instant(required=True)
    closed_at = Instant(required=True, allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class SessionPage(Schema):
    """A page of sessions."""

    data = fields.List(fields.Nested(SessionSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class SessionQuery(PageQuery):
    """Which sessions."""

    is_open = FlagParameter()
    kind = fields.String(validate=one_of(*KINDS))
    location_id = Id()
