"""What signing in takes and gives over HTTP."""

from marshmallow import Schema, fields

from shop_api.web.fields import Email, Text


class LoginBody(Schema):
    """E-mail address and password."""

    email = Email(required=True, metadata={"example": "owner@example.com"})
    password = Text(required=True, min_length=1, max_length=256, metadata={"example": "…"})
    tenant = Text(
        min_length=1,
        max_length=63,
        metadata={"description": "The tenant's slug; needed when the address is used at several."},
    )


class RefreshBody(Schema):
    """A refresh token."""

    refresh_token = Text(
        required=True,
        min_length=1,
        max_length=255,
        metadata={"example": "rt_3vQmPqzq0q4cUqkB7y0Xc5oW8m1l2n3o4p5q6r7s8t9"},
    )


class TokensSchema(Schema):
    """An access token and the refresh token that renews it."""

    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)
    token_type = fields.String(required=True, metadata={"example": "Bearer"})
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds.", "example": 900})
