"""Fields of figures: amounts, counts, shares and changes, as every answer about figures has them.

Belongs here: how one figure is documented. Does not: answers (domains' schemas).
"""

from typing import Any

from marshmallow import fields

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
