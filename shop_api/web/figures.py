"""Fields of figures: amounts, counts, shares and changes, as every answer about figures has them.

Belongs here: how one figure is documented, and what opens it. Does not: answers (domains' schemas).
"""

from typing import Any

from marshmallow import Schema, fields

from shop_api.web.fields import Money


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


class OpenedSchema(Schema):
    """Figures of sales that can be opened."""

    rows = fields.String(
        required=True,
        metadata={
            "description": "The orders and refunds behind these figures, which add up to them.",
            "example": ROWS_EXAMPLE,
        },
    )


class OpenedComparedSchema(OpenedSchema):
    """And what they are compared with."""

    previous_rows = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The rows behind `previous`.", "example": None},
    )
