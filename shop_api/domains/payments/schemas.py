"""What payments take and give over HTTP."""

from decimal import Decimal

from marshmallow import Schema, fields

from shop_api.domains.orders.schemas import PaymentSchema
from shop_api.providers import PROVIDERS
from shop_api.providers.simulated import APPROVED
from shop_api.web.fields import TOKEN, Flag, Money, Text, matching, one_of
from shop_api.web.pagination import PageInfo, PageQuery
from shop_api.web.parser import OptionalBody

PENNY = Decimal("0.0001")


class PaymentBody(Schema):
    """A payment to take, or one that was received."""

    provider = fields.String(
        validate=one_of(*PROVIDERS),
        metadata={
            "description": "Who takes it. Default `manual`: it was received by other means."
            " `simulated` is a payment company in memory: its test cards decide what happens."
        },
    )
    method = Text(
        required=True,
        min_length=1,
        max_length=40,
        validate=TOKEN,
        metadata={"example": "cash"},
    )
    amount = Money(minimum=PENNY, metadata={"description": "Default: what is due.", "example": 5})
    capture = Flag(
        metadata={"description": "false: only hold the money, to be captured later. Default true."}
    )
    card_number = Text(
        min_length=12,
        max_length=19,
        validate=matching(r"^[0-9]+$", "Must be digits only."),
        metadata={
            "description": "A test card, for `simulated` only; never stored. 4242424242424242 is"
            " approved, 4000000000000002 declined, 4000000000003220 only authorized,"
            " 4000000000000119 not answered in time (pending until a callback),"
            " 4000000000000341 approved with its callback delivered twice.",
            "example": APPROVED,
        },
    )
    reference = Text(
        max_length=255,
        allow_none=True,
        metadata={"description": "Of a manual payment.", "example": "receipt 1042"},
    )


class CaptureBody(OptionalBody):
    """How much of an authorized payment to take."""

    amount = Money(
        minimum=PENNY,
        metadata={
            "description": "Default: all that is authorized. The rest is released.",
            "example": 5,
        },
    )


class PaymentPage(Schema):
    """A page of an order's payments."""

    data = fields.List(fields.Nested(PaymentSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class PaymentQuery(PageQuery):
    """Which of an order's payments."""
