"""What address books take and give over HTTP, and the postal address that orders take, too."""

from marshmallow import Schema, fields

from shop_api.web.fields import Country, Flag, Id, Instant, Text
from shop_api.web.pagination import PageInfo, PageQuery


class AddressSchema(Schema):
    """A postal address."""

    recipient = Text(
        max_length=200,
        allow_none=True,
        metadata={"description": "Who takes it in.", "example": "Ada Rossi"},
    )
    company = Text(max_length=200, allow_none=True, metadata={"example": "Fig & Bracken Srl"})
    phone = Text(max_length=40, allow_none=True)
    line1 = Text(required=True, min_length=1, max_length=255, metadata={"example": "Via Roma 1"})
    line2 = Text(max_length=255, allow_none=True)
    city = Text(required=True, min_length=1, max_length=100, metadata={"example": "Torino"})
    region = Text(max_length=100, allow_none=True)
    postal_code = Text(max_length=20, allow_none=True, metadata={"example": "10121"})
    country = Country(required=True)


class StoredAddressSchema(Schema):
    """An address as it is stored: an imported one may know less than an entered one."""

    recipient = fields.String(required=True, allow_none=True, metadata={"example": "Ada Rossi"})
    company = fields.String(
        required=True, allow_none=True, metadata={"example": "Fig & Bracken Srl"}
    )
    phone = fields.String(required=True, allow_none=True)
    line1 = fields.String(required=True, allow_none=True)
    line2 = fields.String(required=True, allow_none=True)
    city = fields.String(required=True, allow_none=True)
    region = fields.String(required=True, allow_none=True)
    postal_code = fields.String(required=True, allow_none=True)
    country = fields.String(required=True, allow_none=True)


class CustomerAddressBody(AddressSchema):
    """An address for a customer's book."""

    label = Text(
        max_length=100,
        allow_none=True,
        metadata={"description": "What the customer calls it.", "example": "Home"},
    )
    is_default_shipping = Flag(
        metadata={
            "description": "true: instead of the one that was. Left out: a customer's first address"
            " is the default, others are not.",
            "example": True,
        }
    )
    is_default_billing = Flag(
        metadata={"description": "As `is_default_shipping`.", "example": False}
    )


class CustomerAddressChanges(CustomerAddressBody):
    """What to change of an address."""

    line1 = Text(min_length=1, max_length=255, metadata={"example": "Via Po 2"})
    city = Text(min_length=1, max_length=100, metadata={"example": "Torino"})
    country = Country()
    is_default_shipping = Flag(
        metadata={"description": "true: instead of the one that was.", "example": True}
    )
    is_default_billing = Flag(
        metadata={"description": "true: instead of the one that was.", "example": True}
    )


class CustomerAddressSchema(StoredAddressSchema):
    """An address of a customer's book."""

    id = Id(required=True)
    customer_id = Id(required=True)
    label = fields.String(required=True, allow_none=True, metadata={"example": "Home"})
    is_default_shipping = fields.Boolean(required=True)
    is_default_billing = fields.Boolean(required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class CustomerAddressPage(Schema):
    """A page of a customer's addresses."""

    data = fields.List(fields.Nested(CustomerAddressSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class CustomerAddressQuery(PageQuery):
    """Which of a customer's addresses."""
