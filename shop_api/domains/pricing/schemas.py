"""What discounts, tax, shipping and exchange rates take and give over HTTP."""

from decimal import Decimal
from typing import Any

from marshmallow import Schema, fields

from shop_api.web.fields import (
    TOKEN,
    BoundedList,
    Country,
    Currency,
    Flag,
    Id,
    Instant,
    Money,
    Number,
    Text,
    Whole,
    matching,
    one_of,
)
from shop_api.web.pagination import SmallListPage, SmallListQuery

DISCOUNT_KINDS = ("percentage", "fixed", "free_shipping")
SHIPPING_KINDS = ("flat", "by_weight")
# what numeric(18,10) holds
RATE_DIGITS = 10
LEAST_RATE = Decimal("0.0000000001")
GREATEST_RATE = Decimal(99_999_999)


class DiscountCode(Text):
    """A code as a customer types it: upper and lower case are the same."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            min_length=1,
            max_length=64,
            validate=matching(
                r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
                "Must be letters, digits, _, . and -, and begin with a letter or digit.",
            ),
            **options,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        return super()._deserialize(value, attr, data, **options).upper()


class DiscountChanges(Schema):
    """What may be changed of a discount. Its kind may not: make another one."""

    code = DiscountCode(
        allow_none=True,
        metadata={
            "description": "What a customer types; kept in upper case. null: it applies by itself.",
            "example": "WELCOME10",
        },
    )
    title = Text(min_length=1, max_length=255, metadata={"example": "10 % off your first order"})
    percentage = Number(
        minimum=Decimal("0.0001"),
        maximum=Decimal(100),
        digits=4,
        metadata={"description": "Of kind percentage: 10 for 10 %.", "example": 10},
    )
    amount = Money(
        minimum=Decimal("0.0001"), metadata={"description": "Of kind fixed.", "example": 5}
    )
    minimum_subtotal = Money(
        allow_none=True, metadata={"description": "Goods an order must have, before discounts."}
    )
    usage_limit = Whole(
        minimum=1, allow_none=True, metadata={"description": "Orders it can be used on."}
    )
    customer_usage_limit = Whole(
        minimum=1,
        allow_none=True,
        metadata={"description": "Orders of one customer it can be used on; not for guests."},
    )
    starts_at = Instant(allow_none=True)
    ends_at = Instant(
        allow_none=True, metadata={"description": "The first instant it no longer holds."}
    )
    is_active = Flag()


class DiscountBody(DiscountChanges):
    """A discount to create."""

    title = Text(
        required=True,
        min_length=1,
        max_length=255,
        metadata={"example": "10 % off your first order"},
    )
    kind = fields.String(
        required=True,
        validate=one_of(*DISCOUNT_KINDS),
        metadata={
            "description": "percentage needs `percentage`, fixed needs `amount`.",
            "example": "percentage",
        },
    )


class DiscountSchema(Schema):
    """A discount."""

    id = Id(required=True)
    code = fields.String(required=True, allow_none=True)
    title = fields.String(required=True)
    kind = fields.String(required=True, validate=one_of(*DISCOUNT_KINDS))
    percentage = Number(required=True, allow_none=True, maximum=Decimal(100), digits=4)
    amount = Money(required=True, allow_none=True)
    minimum_subtotal = Money(required=True, allow_none=True)
    currency = fields.String(required=True)
    usage_limit = fields.Integer(required=True, allow_none=True)
    customer_usage_limit = fields.Integer(required=True, allow_none=True)
    used_count = fields.Integer(
        required=True, metadata={"description": "Orders it was used on, cancelled ones left out."}
    )
    starts_at = Instant(required=True, allow_none=True)
    ends_at = Instant(required=True, allow_none=True)
    is_active = fields.Boolean(required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class DiscountPage(SmallListPage):
    """A page of discounts."""

    data = fields.List(fields.Nested(DiscountSchema), required=True)


class DiscountQuery(SmallListQuery):
    """Which discounts."""

    code = DiscountCode()


class TaxRateChanges(Schema):
    """What may be changed of a tax rate."""

    name = Text(min_length=1, max_length=100, metadata={"example": "IVA"})
    country = Country(metadata={"description": "Where the order is shipped to."})
    region = Text(
        min_length=1,
        max_length=100,
        allow_none=True,
        metadata={"description": "As in the shipping address. null: all of the country."},
    )
    tax_class = Text(
        min_length=1,
        max_length=40,
        validate=TOKEN,
        metadata={"description": "The products it is on. Default `standard`."},
    )
    rate = Number(
        maximum=Decimal(1),
        digits=6,
        such_as="0.2 for 20 %",
        metadata={"description": "0.22 for 22 %.", "example": 0.22},
    )
    applies_to_shipping = Flag(
        metadata={"description": "Whether shipping is taxed by it; only of class `standard`."}
    )
    is_active = Flag()


class TaxRateBody(TaxRateChanges):
    """A tax rate to create."""

    name = Text(required=True, min_length=1, max_length=100, metadata={"example": "IVA"})
    country = Country(required=True, metadata={"description": "Where the order is shipped to."})
    rate = Number(
        required=True,
        maximum=Decimal(1),
        digits=6,
        such_as="0.2 for 20 %",
        metadata={"description": "0.22 for 22 %.", "example": 0.22},
    )


class TaxRateSchema(Schema):
    """A tax rate."""

    id = Id(required=True)
    name = fields.String(required=True)
    country = fields.String(required=True)
    region = fields.String(required=True, allow_none=True)
    tax_class = fields.String(required=True)
    rate = Number(required=True, maximum=Decimal(1), digits=6)
    applies_to_shipping = fields.Boolean(required=True)
    is_active = fields.Boolean(required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class TaxRatePage(SmallListPage):
    """A page of tax rates."""

    data = fields.List(fields.Nested(TaxRateSchema), required=True)


class TaxRateQuery(SmallListQuery):
    """Which tax rates."""

    country = Country()


class ShippingRateChanges(Schema):
    """What may be changed of a shipping rate. Its kind may not: make another one."""

    name = Text(min_length=1, max_length=100, metadata={"example": "Standard, 3 days"})
    countries = BoundedList(
        Country(),
        max_length=250,
        metadata={"description": "Where it goes to; empty: everywhere.", "example": ["IT", "FR"]},
    )
    price = Money(metadata={"example": 4.9})
    price_per_kilogram = Money(
        metadata={"description": "Of kind by_weight: added to the price for each kilogram."}
    )
    maximum_weight_grams = Whole(minimum=1, allow_none=True)
    free_from_subtotal = Money(
        allow_none=True,
        metadata={"description": "Goods, after discounts, from which on it costs nothing."},
    )
    is_active = Flag()


class ShippingRateBody(ShippingRateChanges):
    """A shipping rate to create."""

    name = Text(
        required=True, min_length=1, max_length=100, metadata={"example": "Standard, 3 days"}
    )
    kind = fields.String(
        required=True,
        validate=one_of(*SHIPPING_KINDS),
        metadata={"description": "by_weight needs `price_per_kilogram`.", "example": "flat"},
    )
    price = Money(required=True, metadata={"example": 4.9})


class ShippingRateSchema(Schema):
    """A shipping rate."""

    id = Id(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True, validate=one_of(*SHIPPING_KINDS))
    countries = fields.List(fields.String(), required=True)
    price = Money(required=True)
    price_per_kilogram = Money(required=True, allow_none=True)
    maximum_weight_grams = fields.Integer(required=True, allow_none=True)
    free_from_subtotal = Money(required=True, allow_none=True)
    currency = fields.String(required=True)
    is_active = fields.Boolean(required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class ShippingRatePage(SmallListPage):
    """A page of shipping rates."""

    data = fields.List(fields.Nested(ShippingRateSchema), required=True)


class ExchangeRateBody(Schema):
    """What a currency is worth in the shop's, from an instant on."""

    currency = Currency(
        required=True, metadata={"description": "Not the tenant's own.", "example": "EUR"}
    )
    rate = Number(
        required=True,
        minimum=LEAST_RATE,
        maximum=GREATEST_RATE,
        digits=RATE_DIGITS,
        such_as="1.08 where one of it is 1.08 of the shop's",
        metadata={
            "description": "Units of the tenant's currency for one of `currency`.",
            "example": 1.08,
        },
    )
    effective_at = Instant(
        metadata={"description": "From when on, until that of the next rate. Default: now."}
    )


class ExchangeRateSchema(Schema):
    """A rate of exchange."""

    id = Id(required=True)
    currency = fields.String(required=True)
    rate = Number(required=True, minimum=LEAST_RATE, maximum=GREATEST_RATE, digits=RATE_DIGITS)
    effective_at = Instant(required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class ExchangeRatePage(SmallListPage):
    """A page of rates of exchange."""

    data = fields.List(fields.Nested(ExchangeRateSchema), required=True)


class ExchangeRateQuery(SmallListQuery):
    """Which rates of exchange."""

    currency = Currency()
