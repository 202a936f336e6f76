"""What customers take and give over HTTP."""

from marshmallow import Schema, fields

from shop_api.domains.customers.repository import SEARCHED_ROWS
from shop_api.web.fields import Email, Id, Instant, Tags, Text, one_of
from shop_api.web.pagination import PageInfo, PageQuery


class CustomerBody(Schema):
    """A customer to create, or what to change of one."""

    email = Email(allow_none=True, metadata={"example": "ada@example.com"})
    first_name = Text(max_length=100, metadata={"example": "Ada"})
    last_name = Text(max_length=100, metadata={"example": "Lovelace"})
    phone = Text(max_length=40, allow_none=True)
    tags = Tags()
    external_id = Text(min_length=1, max_length=255, allow_none=True)


class CustomerSchema(Schema):
    """A customer."""

    id = Id(required=True)
    email = fields.String(required=True, allow_none=True)
    first_name = fields.String(required=True)
    last_name = fields.String(required=True)
    phone = fields.String(required=True, allow_none=True)
    tags = fields.List(fields.String(), required=True)
    external_id = fields.String(required=True, allow_none=True)
    erased_at = Instant(
        required=True,
        allow_none=True,
        metadata={"description": "Since then nothing here says who it was."},
    )
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
    external_id = Text(min_length=1, max_length=255)
    tags = fields.List(
        Text(min_length=1, max_length=64), metadata={"description": "All of them; repeatable."}
    )
    created_after = Instant()
    created_before = Instant()
    updated_after = Instant()
    updated_before = Instant()
    search = Text(
        min_length=1,
        max_length=100,
        takes_blanks=True,
        metadata={
            "description": "By the beginnings of words of name, e-mail address, telephone and tags;"
            f" of more than {SEARCHED_ROWS} that are found, those that fit best.",
            "example": "ada lov",
        },
    )
