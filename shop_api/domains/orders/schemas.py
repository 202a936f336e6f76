"""What orders take and give over HTTP."""

from decimal import Decimal

from marshmallow import Schema, ValidationError, fields

from shop_api.domains.addresses.schemas import AddressSchema, StoredAddressSchema
from shop_api.domains.pricing.schemas import (
    GREATEST_RATE,
    LEAST_RATE,
    RATE_DIGITS,
    DiscountCode,
)
from shop_api.web.fields import (
    TOKEN,
    BoundedList,
    Currency,
    Id,
    Instant,
    Money,
    Number,
    Text,
    Whole,
    WholeParameter,
    one_of,
)
from shop_api.web.pagination import PageInfo, PageQuery

STATUSES = ("pending", "processing", "completed", "cancelled")
PAYMENT_STATUSES = (
    "unpaid",
    "authorized",
    "partially_paid",
    "paid",
    "partially_refunded",
    "refunded",
)
FULFILLMENT_STATUSES = ("unfulfilled", "partial", "fulfilled", "returned")


class OrderLineBody(Schema):
    """How many of a variant."""

    variant_id = Id(required=True)
    quantity = Whole(required=True, minimum=1, maximum=100_000, metadata={"example": 2})


def _none_twice(codes: list[str]) -> None:
    if len(set(codes)) != len(codes):
        raise ValidationError("A code is there twice; upper and lower case are the same.")


class OrderBody(Schema):
    """An order to place. Prices come from the catalogue, taxes from where it is shipped to."""

    lines = BoundedList(fields.Nested(OrderLineBody), required=True, min_length=1, max_length=200)
    customer_id = Id(allow_none=True)
    session_id = Id(
        allow_none=True,
        metadata={
            "description": "The table or till it is ordered at; its channel is the order's. Without"
            " a shipping address it is taxed where the tenant's `settings` say the shop is."
        },
    )
    channel = Text(
        min_length=1,
        max_length=40,
        validate=TOKEN,
        metadata={"description": "Where it was sold. Default `web`.", "example": "web"},
    )
    currency = Currency(metadata={"description": "If sent, it must be the tenant's."})
    discount_codes = BoundedList(
        DiscountCode(),
        max_length=5,
        validate=_none_twice,
        metadata={"description": "Each takes off what the ones before it left."},
    )
    shipping_rate_id = Id(
        allow_none=True, metadata={"description": "How it is sent. Without, shipping is free."}
    )
    shipping_address = fields.Nested(
        AddressSchema,
        allow_none=True,
        metadata={
            "description": "Its country and region decide the taxes; without, there are none."
        },
    )
    billing_address = fields.Nested(AddressSchema, allow_none=True)
    note = Text(max_length=2000, allow_none=True)
    external_id = Text(min_length=1, max_length=255, allow_none=True)


class OrderChanges(Schema):
    """What to change of an order; its lines stay."""

    note = Text(max_length=2000, allow_none=True, metadata={"example": "Ring twice"})
    shipping_address = fields.Nested(
        AddressSchema,
        allow_none=True,
        metadata={"description": "Until the goods have left."},
    )
    billing_address = fields.Nested(AddressSchema, allow_none=True)
    external_id = Text(min_length=1, max_length=255, allow_none=True)


class OrderLineSchema(Schema):
    """A line of an order."""

    id = Id(required=True)
    position = fields.Integer(required=True)
    product_id = Id(required=True, allow_none=True)
    variant_id = Id(required=True, allow_none=True)
    title = fields.String(required=True)
    sku = fields.String(required=True, allow_none=True)
    quantity = fields.Integer(required=True)
    unit_price = Money(required=True)
    subtotal = Money(required=True)
    discount_total = Money(required=True)
    tax_rate = Number(
        required=True,
        maximum=Decimal(1000),
        digits=6,
        metadata={"description": "The sum of the rates that apply: 0.22 for 22 %."},
    )
    tax_total = Money(required=True)
    total = Money(required=True)
    fulfilled_quantity = fields.Integer(required=True)
    returned_quantity = fields.Integer(required=True)
    refunded_quantity = fields.Integer(required=True)
    cancelled_quantity = fields.Integer(
        required=True,
        metadata={"description": "Units refunded before they were fulfilled: they never will be."},
    )
    refunded_total = Money(required=True)


class OrderDiscountSchema(Schema):
    """What a discount took off an order."""

    position = fields.Integer(required=True)
    code = fields.String(required=True, allow_none=True)
    title = fields.String(required=True)
    kind = fields.String(required=True)
    amount = Money(
        required=True, metadata={"description": "Off the goods; part of discount_total."}
    )
    shipping_amount = Money(
        required=True, metadata={"description": "Off the shipping; not in shipping_total."}
    )


class PaymentSchema(Schema):
    """A payment of an order."""

    id = Id(required=True)
    provider = fields.String(required=True)
    method = fields.String(required=True)
    status = fields.String(
        required=True,
        validate=one_of("pending", "authorized", "captured", "failed", "voided"),
    )
    amount = Money(
        required=True, metadata={"description": "What was captured; before that what is to be."}
    )
    authorized_amount = Money(required=True, allow_none=True)
    refunded_amount = Money(required=True)
    currency = fields.String(required=True)
    reference = fields.String(required=True, allow_none=True)
    failure_code = fields.String(required=True, allow_none=True)
    created_at = Instant(required=True)


class OrderSchema(Schema):
    """An order. total = subtotal − discount_total + shipping_total + tax_total.

    Where `prices_include_tax`, prices hold their tax: tax_total says how much, and is not added.
    """

    id = Id(required=True)
    tenant_id = Id(required=True)
    number = fields.Integer(required=True)
    customer_id = Id(required=True, allow_none=True)
    session_id = Id(required=True, allow_none=True)
    status = fields.String(required=True, validate=one_of(*STATUSES))
    payment_status = fields.String(required=True, validate=one_of(*PAYMENT_STATUSES))
    fulfillment_status = fields.String(required=True, validate=one_of(*FULFILLMENT_STATUSES))
    channel = fields.String(required=True)
    currency = fields.String(required=True)
    base_currency = fields.String(
        required=True,
        metadata={"description": "The tenant's when it was placed.", "example": "USD"},
    )
    exchange_rate = Number(
        required=True,
        allow_none=True,
        minimum=LEAST_RATE,
        maximum=GREATEST_RATE,
        digits=RATE_DIGITS,
        metadata={
            "description": "Units of base_currency for one of currency when it was placed; null"
            " where none was known. Figures are converted at it.",
            "example": 1,
        },
    )
    subtotal = Money(required=True)
    discount_total = Money(required=True)
    shipping_total = Money(required=True)
    shipping_tax_total = Money(
        required=True, metadata={"description": "Tax on the shipping; part of tax_total."}
    )
    tax_total = Money(required=True)
    prices_include_tax = fields.Boolean(required=True)
    total = Money(required=True)
    paid_total = Money(required=True)
    refunded_total = Money(required=True)
    due_total = Money(
        required=True,
        metadata={"description": "Still to be captured; what was refunded before may be in it."},
    )
    shipping_address = fields.Nested(StoredAddressSchema, required=True, allow_none=True)
    billing_address = fields.Nested(StoredAddressSchema, required=True, allow_none=True)
    shipping_method = fields.String(required=True, allow_none=True)
    note = fields.String(required=True, allow_none=True)
    cancel_reason = fields.String(required=True, allow_none=True)
    discounts = fields.List(fields.Nested(OrderDiscountSchema), required=True)
    lines = fields.List(fields.Nested(OrderLineSchema), required=True)
    payments = fields.List(fields.Nested(PaymentSchema), required=True)
    hold_expires_at = Instant(
        required=True,
        allow_none=True,
        metadata={"description": "When it is cancelled unless a payment comes."},
    )
    placed_at = Instant(required=True)
    completed_at = Instant(required=True, allow_none=True)
    cancelled_at = Instant(required=True, allow_none=True)
    external_id = fields.String(required=True, allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class OrderPage(Schema):
    """A page of orders."""

    data = fields.List(fields.Nested(OrderSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class HistoryQuery(PageQuery):
    """Which orders of a customer, in which order."""

    sort = fields.String(validate=one_of("placed_at", "updated_at", "total"))
    status = fields.List(
        fields.String(validate=one_of(*STATUSES)), metadata={"description": "Repeatable."}
    )
    payment_status = fields.List(fields.String(validate=one_of(*PAYMENT_STATUSES)))
    fulfillment_status = fields.List(fields.String(validate=one_of(*FULFILLMENT_STATUSES)))
    session_id = Id()
    channel = Text(min_length=1, max_length=40)
    number = WholeParameter(1, 9_223_372_036_854_775_807)
    placed_after = Instant()
    placed_before = Instant()
    updated_after = Instant(
        metadata={"description": "What changed since; with `sort=updated_at`, in that order."}
    )
    updated_before = Instant()
    external_id = Text(min_length=1, max_length=255)


class OrderQuery(HistoryQuery):
    """Which orders, in which order."""

    customer_id = Id()


class EventSchema(Schema):
    """Something that happened to an order; it holds no personal data."""

    sequence = fields.Integer(required=True)
    type = fields.String(required=True, metadata={"example": "order_created"})
    data = fields.Dict(required=True)
    actor = fields.String(
        required=True, metadata={"description": "`user:<id>`, `api_key:<id>` or `system:<what>`."}
    )
    request_id = fields.String(required=True)
    recorded_at = Instant(required=True)


class EventPage(Schema):
    """A page of an order's events."""

    data = fields.List(fields.Nested(EventSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class EventQuery(PageQuery):
    """Which of an order's events."""
