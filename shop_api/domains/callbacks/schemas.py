"""What callbacks take and give over HTTP."""

from decimal import Decimal

from marshmallow import Schema, fields

from shop_api.web.fields import Money, Text, one_of

OUTCOMES = ("authorized", "captured", "failed", "refunded")


class CallbackBody(Schema):
    """What became of a payment."""

    callback_id = Text(
        required=True,
        min_length=1,
        max_length=255,
        metadata={"description": "The same id is the same telling.", "example": "evt_1"},
    )
    reference = Text(
        required=True,
        min_length=1,
        max_length=255,
        metadata={"description": "The payment's `reference`.", "example": "sim_0190a1b2"},
    )
    outcome = fields.String(
        required=True, validate=one_of(*OUTCOMES), metadata={"example": "captured"}
    )
    amount = Money(
        minimum=Decimal("0.0001"),
        metadata={
            "description": "Default: the whole payment. Of `refunded`: all that has been refunded"
            " of it so far."
        },
    )


class CallbackSchema(Schema):
    """What a callback did."""

    callback_id = fields.String(required=True)
    is_applied = fields.Boolean(
        required=True,
        metadata={"description": "false: it was told before, or newer is known already."},
    )
