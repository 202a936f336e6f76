"""Fields of figures: amounts, counts, shares and changes, as every answer about figures has them.

Belongs here: how one figure is documented, and what opens it. Does not: answers (domains' schemas).
"""

from typing import Any

from marshmallow import Schema, fields

from shop_api.web.fields import Instant, Money, one_of


def amount(description: str = "", **options: Any) -> Money:
    """An amount of an answer; corrections can make one negative."""
    metadata = {"description": description} if description else {}
    return Money(minimum=None, required=True, metadata=metadata, **options)


def number(description: str = "", **options: Any) -> fields.Integer:
    """A count of an answer."""
    metadata = {"description": description} if description else {}
    return fields.Integer(required=True, metadata=metadata, **options)


def share(description: str) -> fields.Decimal:
    """A quotient to four places; of nothing there is none."""
    return fields.Decimal(
        required=True, allow_none=True, metadata={"description": f"{description} Null of nothing."}
    )


def relative_change() -> fields.Decimal:
    """Against the period compared with."""
    return fields.Decimal(
        required=True,
        allow_none=True,
        metadata={"description": "(now − before) ÷ before; null when nothing is compared, or 0."},
    )


ROWS_EXAMPLE = (
    "/api/v1/analytics/rows?metric=net_sales&snapshot=42&from=2026-03-01&to=2026-04-01"
    "&basis=order_date&currency=EUR"
)


def rows_link(**options: Any) -> fields.String:
    """Where the rows behind figures are."""
    metadata = {
        "description": "The rows behind these figures, which add up to them.",
        "example": ROWS_EXAMPLE,
    }
    return fields.String(required=True, metadata=metadata, **options)


class OpenedSchema(Schema):
    """Figures that can be opened."""

    rows = rows_link()


class OpenedComparedSchema(OpenedSchema):
    """And what they are compared with."""

    previous_rows = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The rows behind `previous`.", "example": None},
    )


KINDS = (
    *("order", "cancellation", "refund", "refund_reversal"),
    *("payment", "payment_reversal", "customer", "session"),
)


class RowSchema(Schema):
    """What a row behind figures is of, and when it counts."""

    kind = fields.String(
        required=True,
        validate=one_of(*KINDS),
        metadata={
            "description": "`order`; `cancellation` takes an order back; `refund`;"
            " `refund_reversal` takes back a refund of an order that was cancelled later; `payment`"
            " one that was captured, which `payment_reversal` takes back with its order;"
            " `customer`, by the last of the orders that make one count; `session`, by its last"
            " event that counts, and a visitor with the last of their sessions alone."
        },
    )
    at = Instant(required=True, metadata={"description": "When it counts, by the basis."})
    order_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Of a session that of its purchase, else null."},
    )
    order_number = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Null of a session.", "example": 1042},
    )
    line_id = fields.String(
        required=True, allow_none=True, metadata={"description": "Of what is told by line."}
    )
    refund_id = fields.String(required=True, allow_none=True)
    payment_id = fields.String(required=True, allow_none=True)
    customer_id = fields.String(
        required=True, allow_none=True, metadata={"description": "Of a `customer`."}
    )
    visitor_id = fields.String(
        required=True, allow_none=True, metadata={"description": "Of a `session`."}
    )
    session_id = fields.String(required=True, allow_none=True)
