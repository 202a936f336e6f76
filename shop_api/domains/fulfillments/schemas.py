"""What fulfilments and returns take and give over HTTP."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from shop_api.web.fields import BoundedList, Flag, Id, Instant, Text, Whole
from shop_api.web.pagination import PageInfo, PageQuery
from shop_api.web.parser import OptionalBody

MAX_LINES = 200


class LineQuantityBody(Schema):
    """How many of an order line."""

    line_id = Id(required=True)
    quantity = Whole(required=True, minimum=1, maximum=100_000, metadata={"example": 1})


class NamedOnce(Schema):
    """A body whose `lines` may each be named once."""

    @validates_schema
    def each_once(self, data: dict[str, Any], **_: Any) -> None:
        """A line may be named once."""
        named = [line["line_id"] for line in data.get("lines", [])]
        if len(set(named)) != len(named):
            raise ValidationError("A line may be named once.", "lines")


class FulfillmentBody(NamedOnce, OptionalBody):
    """Goods that leave."""

    lines = BoundedList(
        fields.Nested(LineQuantityBody),
        min_length=1,
        max_length=MAX_LINES,
        metadata={"description": "Default: all that is not fulfilled yet."},
    )
    carrier = Text(min_length=1, max_length=100, metadata={"example": "DHL"})
    tracking_number = Text(min_length=1, max_length=100, metadata={"example": "JJD000390007"})
    tracking_url = Text(
        max_length=2000,
        validate=validate.URL(
            schemes={"http", "https"}, error="Must be a web address: http:// or https://."
        ),
        metadata={"example": "https://example.com/track/JJD000390007", "format": "uri"},
    )


class ReturnLineBody(LineQuantityBody):
    """How many of an order line came back."""

    restock = Flag(metadata={"description": "Whether they can be sold again. Default true."})


class ReturnBody(NamedOnce):
    """Goods that came back."""

    lines = BoundedList(
        fields.Nested(ReturnLineBody), required=True, min_length=1, max_length=MAX_LINES
    )
    reason = Text(max_length=255, allow_none=True, metadata={"example": "Too small"})


class LineQuantitySchema(Schema):
    """How many of an order line."""

    line_id = Id(required=True)
    quantity = fields.Integer(required=True)


class OrderFulfillmentSchema(Schema):
    """Goods that left together."""

    id = Id(required=True)
    order_id = Id(required=True)
    lines = fields.List(fields.Nested(LineQuantitySchema), required=True)
    carrier = fields.String(required=True, allow_none=True)
    tracking_number = fields.String(required=True, allow_none=True)
    tracking_url = fields.String(required=True, allow_none=True)
    created_at = Instant(required=True)


class ReturnLineSchema(LineQuantitySchema):
    """How many of an order line came back."""

    is_restocked = fields.Boolean(required=True)


class ReturnSchema(Schema):
    """Goods that came back together."""

    id = Id(required=True)
    order_id = Id(required=True)
    lines = fields.List(fields.Nested(ReturnLineSchema), required=True)
    reason = fields.String(required=True, allow_none=True)
    created_at = Instant(required=True)


class FulfillmentPage(Schema):
    """A page of an order's fulfilments."""

    data = fields.List(fields.Nested(OrderFulfillmentSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class ReturnPage(Schema):
    """A page of an order's returns."""

    data = fields.List(fields.Nested(ReturnSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class FulfillmentQuery(PageQuery):
    """Which of an order's fulfilments."""


class ReturnQuery(PageQuery):
    """Which of an order's returns."""
