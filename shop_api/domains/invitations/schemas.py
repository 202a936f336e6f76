"""What invitations take and give over HTTP."""

from marshmallow import Schema, fields

from shop_api.kernel.principal import ROLE_SCOPES
from shop_api.web.fields import Email, FlagParameter, Id, Instant, Text, Whole, one_of
from shop_api.web.pagination import SmallListPage, SmallListQuery

DEFAULT_LIFE_SECONDS = 604_800
MAX_LIFE_SECONDS = 2_592_000


class InvitationBody(Schema):
    """Whom to invite, as what."""

    email = Email(required=True, metadata={"example": "grace@example.com"})
    role = fields.String(
        required=True, validate=one_of(*ROLE_SCOPES), metadata={"example": "staff"}
    )
    expires_in_seconds = Whole(
        minimum=60,
        maximum=MAX_LIFE_SECONDS,
        load_default=DEFAULT_LIFE_SECONDS,
        metadata={"description": "How long it may be accepted. Default: a week."},
    )


class InvitationSchema(Schema):
    """An invitation, without its token."""

    id = Id(required=True)
    email = fields.String(required=True)
    role = fields.String(required=True, validate=one_of(*ROLE_SCOPES))
    invited_by = fields.String(
        required=True, metadata={"description": "`user:<id>` or `api_key:<id>`."}
    )
    expires_at = Instant(required=True)
    accepted_at = Instant(required=True, allow_none=True)
    revoked_at = Instant(required=True, allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class NewInvitationSchema(InvitationSchema):
    """An invitation with its token, shown once."""

    token = fields.String(
        required=True,
        metadata={"description": "For the person invited; it is not shown again."},
    )


class InvitationPage(SmallListPage):
    """A page of invitations."""

    data = fields.List(fields.Nested(InvitationSchema), required=True)


class InvitationQuery(SmallListQuery):
    """Which invitations."""

    email = Email()
    is_open = FlagParameter(
        metadata={"description": "Neither accepted nor revoked; one that expired is open still."}
    )


class AcceptanceBody(Schema):
    """An invitation's token, and who accepts it."""

    token = Text(
        required=True,
        min_length=1,
        max_length=255,
        metadata={"example": "in_3vQmPqzq0q4cUqkB7y0Xc5oW8m1l2n3o4p5q6r7s8t9"},
    )
    name = Text(required=True, min_length=1, max_length=100, metadata={"example": "Grace Staff"})
    password = Text(
        required=True, min_length=12, max_length=256, metadata={"example": "correct-horse-battery"}
    )
