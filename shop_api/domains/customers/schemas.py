"""What customers take and give over HTTP."""

from marshmallow import Schema, fields

from shop_api.web.fields import COUNTRY, BoundedList, Email, Id, Instant, Text, one_of
from shop_api.web.pagination import PageInfo, PageQuery


class AddressSchema(Schema):
    """A postal address."""

    line1 = Text(required=True, min_length=1, max_length=255, metadata={"example": "Via Roma 1"})
    line2 = Text(max_length=255, allow_none=True)
    city = Text(required=True, min_length=1, max_length=100, metadata={"example": "Torino"})
    region = Text(max_length=100, allow_none=True)
    postal_code = Text(max_length=20, allow_none=True, metadata={"example": "10121"})
    country = Text(
        required=True,
        min_length=2,
        max_length=2,
        validate=COUNTRY,
        metadata={"example": "IT"},
    )


class CustomerBody(Schema):
    """A customer to create, or what to change of one."""

    email = Email(allow_none=True, metadata={"example": "ada@example.com"})
    first_name = Text(max_length=100, metadata={"example": "Ada"})
    last_name = Text(max_length=100, metadata={"example": "Lovelace"})
    phone = Text(max_length=40, allow_none=True)
    address = fields.Nested(AddressSchema, allow_none=True)
    tags = BoundedList(Text(min_length=1, max_length=64), max_length=50)
    external_id = Text(min_length=1, max_length=255, allow_none=True)


class StoredAddressSchema(Schema):
    """An address as it is stored: an imported one may know less than an entered one."""

    line1 = fields.String(allow_none=True)
    line2 = fields.String(allow_none=True)
    city = fields.String(allow_none=True)
    region = fields.String(allow_none=True)
    postal_code = fields.String(allow_none=True)
    country = fields.String(allow_none=True)


class CustomerSchema(Schema):
    """A customer."""

    id = Id(required=True)
    email = fields.String(required=True, allow_none=True)
    first_name = fields.String(required=True)
    last_name = fields.String(required=True)
    phone = fields.String(required=True, allow_none=True)
    address = fields.Nested(StoredAddressSchema, required=True, allow_none=True)
    tags = fields.List(fields.String(), required=True)
    external_id = fields.String(required=True, allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class CustomerPage(Schema):
    """A page of customers."""

    data = fields.List(fields.Nested(CustomerSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class CustomerQuery(PageQuery):
    """Which customers, in which order."""

    sort = fields.String(validate=one_of("created_at", "updated_at"))
    email = Email()
    tags = fields.List(
        Text(min_length=1, max_length=64), metadata={"description": "All of them; repeatable."}
    )
