"""What refunds take and give over HTTP."""

from decimal import Decimal
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from shop_api.domains.fulfillments.schemas import MAX_LINES, LineQuantityBody, NamedOnce
from shop_api.web.fields import BoundedList, Id, Instant, Money, Text
from shop_api.web.pagination import PageInfo, PageQuery

PENNY = Decimal("0.0001")


class RefundBody(NamedOnce):
    """What to give back: lines and shipping, or an amount."""

    lines = BoundedList(
        fields.Nested(LineQuantityBody),
        min_length=1,
        max_length=MAX_LINES,
        metadata={"description": "Units at what was paid for them, their tax included."},
    )
    shipping_amount = Money(
        minimum=PENNY,
        metadata={"description": "Of the order's shipping_total; its share of tax comes with it."},
    )
    amount = Money(
        minimum=PENNY,
        metadata={"description": "Any amount, without lines and shipping.", "example": 5},
    )
    reason = Text(max_length=255, allow_none=True, metadata={"example": "Arrived broken"})
    payment_id = Id(
        metadata={"description": "Which payment it comes from. Default: the newest first."}
    )

    @validates_schema
    def lines_or_amount(self, data: dict[str, Any], **_: Any) -> None:
        """Lines and shipping, or an amount."""
        by_parts = "lines" in data or "shipping_amount" in data
        if by_parts == ("amount" in data):
            raise ValidationError("Send either lines and shipping_amount, or amount.", "amount")


class RefundLineSchema(Schema):
    """What was given back for an order line."""

    line_id = Id(required=True)
    quantity = fields.Integer(required=True)
    amount = Money(required=True, metadata={"description": "Before tax."})
    tax_amount = Money(required=True)


class RefundPaymentSchema(Schema):
    """What of a refund came from a payment."""

    payment_id = Id(required=True)
    amount = Money(required=True)


class RefundSchema(Schema):
    """Money given back. amount = goods + shipping_amount + tax_amount."""

    id = Id(required=True)
    order_id = Id(required=True)
    amount = Money(required=True)
    shipping_amount = Money(required=True, metadata={"description": "Before tax."})
    tax_amount = Money(required=True)
    currency = fields.String(required=True)
    lines = fields.List(fields.Nested(RefundLineSchema), required=True)
    payments = fields.List(fields.Nested(RefundPaymentSchema), required=True)
    reason = fields.String(required=True, allow_none=True)
    created_at = Instant(required=True)


class RefundPage(Schema):
    """A page of an order's refunds."""

    data = fields.List(fields.Nested(RefundSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class RefundQuery(PageQuery):
    """Which of an order's refunds."""
