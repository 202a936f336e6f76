"""What users take and give over HTTP."""

from marshmallow import Schema, fields

from shop_api.kernel.principal import ROLE_SCOPES
from shop_api.web.fields import Email, Flag, Id, Instant, Text, one_of
from shop_api.web.pagination import SmallListPage, SmallListQuery


class UserChanges(Schema):
    """What may be changed of a user."""

    name = Text(min_length=1, max_length=100, metadata={"example": "Grace Staff"})
    role = fields.String(validate=one_of(*ROLE_SCOPES), metadata={"example": "staff"})
    password = Text(min_length=12, max_length=256, metadata={"example": "correct-horse-battery"})
    is_disabled = Flag(metadata={"description": "A disabled user cannot sign in."})


class UserBody(Schema):
    """A user to create."""

    email = Email(required=True, metadata={"example": "grace@example.com"})
    name = Text(required=True, min_length=1, max_length=100, metadata={"example": "Grace Staff"})
    role = fields.String(
        required=True, validate=one_of(*ROLE_SCOPES), metadata={"example": "staff"}
    )
    password = Text(
        required=True, min_length=12, max_length=256, metadata={"example": "correct-horse-battery"}
    )


class UserSchema(Schema):
    """A user."""

    id = Id(required=True)
    email = fields.String(required=True)
    name = fields.String(required=True)
    role = fields.String(required=True, validate=one_of(*ROLE_SCOPES))
    disabled_at = Instant(required=True, allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class UserPage(SmallListPage):
    """A page of users."""

    data = fields.List(fields.Nested(UserSchema), required=True)


class UserQuery(SmallListQuery):
    """Which users."""

    role = fields.String(validate=one_of(*ROLE_SCOPES))
    email = Email(metadata={"example": "grace@example.com"})
