"""What tenants take and give over HTTP."""

from marshmallow import Schema, fields

from shop_api.web.fields import (
    BoundedList,
    Currency,
    Email,
    Flag,
    Id,
    Instant,
    Text,
    matching,
    one_of,
)

PLANS = ("free", "basic", "pro", "enterprise")


class OwnerBody(Schema):
    """The first user of a tenant."""

    email = Email(required=True, metadata={"example": "owner@example.com"})
    name = Text(required=True, min_length=1, max_length=100, metadata={"example": "Ada Owner"})
    password = Text(
        required=True, min_length=12, max_length=256, metadata={"example": "correct-horse-battery"}
    )


class TenantBody(Schema):
    """A tenant to create."""

    name = Text(required=True, min_length=1, max_length=100, metadata={"example": "Acme Toys"})
    slug = Text(
        required=True,
        min_length=1,
        max_length=63,
        validate=matching(
            r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
            "Must be lower-case letters, digits and -, and begin and end with a letter or digit.",
        ),
        metadata={"example": "acme-toys"},
    )
    plan = fields.String(load_default="free", validate=one_of(*PLANS))
    currency = Currency(required=True)
    timezone = Text(required=True, min_length=1, max_length=64, metadata={"example": "Europe/Rome"})
    owner = fields.Nested(OwnerBody, required=True)


class TenantPatch(Schema):
    """What may change of a tenant. Its currency may not: orders are kept in it."""

    name = Text(min_length=1, max_length=100)
    timezone = Text(min_length=1, max_length=64, metadata={"example": "America/Sao_Paulo"})
    prices_include_tax = Flag(
        metadata={
            "description": "Whether prices hold their tax already; for orders placed from now on."
        }
    )
    cors_origins = BoundedList(
        Text(
            max_length=255,
            validate=matching(
                r"^https?://[A-Za-z0-9.:\[\]-]+$",
                "Must be an origin: scheme, host and port without a path, such as https://shop.example.",
            ),
        ),
        max_length=20,
    )


class TenantSchema(Schema):
    """A tenant."""

    id = Id(required=True)
    name = fields.String(required=True)
    slug = fields.String(required=True)
    plan = fields.String(required=True)
    currency = fields.String(required=True)
    timezone = fields.String(required=True)
    prices_include_tax = fields.Boolean(required=True)
    cors_origins = fields.List(fields.String(), required=True)
    settings = fields.Dict(required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)
