"""What webhook endpoints take and give over HTTP."""

from typing import Any

from marshmallow import Schema, fields

from shop_api.web.fields import BoundedList, Id, Instant, Text, Whole, one_of
from shop_api.web.pagination import SmallListPage, SmallListQuery
from shop_api.web.parser import OptionalBody
from shop_api.webhooks.addresses import URL_MAX_LENGTH
from shop_api.webhooks.events import EVENT_TYPES

DEFAULT_OVERLAP_SECONDS = 86_400
MAX_OVERLAP_SECONDS = 604_800

STATUSES = ("active", "paused")
_URL_EXAMPLE = "https://backoffice.example/webhooks"


def _url(**options: Any) -> Text:
    return Text(
        min_length=1,
        max_length=URL_MAX_LENGTH,
        metadata={
            "description": "Where events are sent: https, a host on the public internet.",
            "example": _URL_EXAMPLE,
        },
        **options,
    )


def _description(**options: Any) -> Text:
    return Text(max_length=255, metadata={"example": "Back office"}, **options)


def _event_types(**options: Any) -> BoundedList:
    return BoundedList(
        fields.String(validate=one_of(*EVENT_TYPES)),
        min_length=1,
        max_length=len(EVENT_TYPES),
        allow_none=True,
        metadata={
            "description": "Which events; `null`: all that the credential may see.",
            "example": ["order_created", "order_status_changed"],
        },
        **options,
    )


class EndpointBody(Schema):
    """An endpoint to create."""

    url = _url(required=True)
    description = _description(load_default="")
    event_types = _event_types(load_default=None)


class EndpointChanges(Schema):
    """What may be changed of an endpoint."""

    url = _url()
    description = _description()
    event_types = _event_types()
    status = fields.String(
        validate=one_of(*STATUSES),
        metadata={
            "description": "While it is `paused`, events wait for a day.",
            "example": "active",
        },
    )


class SecretRotationBody(OptionalBody):
    """How a secret is rotated."""

    overlap_seconds = Whole(
        minimum=0,
        maximum=MAX_OVERLAP_SECONDS,
        load_default=DEFAULT_OVERLAP_SECONDS,
        metadata={
            "description": "How long messages are signed with the old secret, too. Default: a day.",
            "example": 86_400,
        },
    )


class EndpointSchema(Schema):
    """A webhook endpoint, without its secret."""

    id = Id(required=True)
    url = fields.String(required=True, metadata={"example": _URL_EXAMPLE})
    description = fields.String(required=True, metadata={"example": "Back office"})
    event_types = fields.List(
        fields.String(validate=one_of(*EVENT_TYPES)),
        required=True,
        allow_none=True,
        metadata={"example": ["order_created", "order_status_changed"]},
    )
    scopes = fields.List(
        fields.String(),
        required=True,
        metadata={
            "description": "What may be sent there: those of the credential that chose its events."
            " Without `customers:read` no e-mail address is.",
            "example": ["catalog:read", "orders:read"],
        },
    )
    status = fields.String(
        required=True, validate=one_of(*STATUSES), metadata={"example": "active"}
    )
    pause_reason = fields.String(
        required=True,
        allow_none=True,
        validate=one_of("asked", "gone", "failing"),
        metadata={
            "description": "Why it is paused: somebody `asked`, it answered 410 (`gone`), or it has"
            " been `failing`.",
            "example": None,
        },
    )
    paused_at = Instant(required=True, allow_none=True)
    previous_secret_expires_at = Instant(
        required=True,
        allow_none=True,
        metadata={"description": "Until then messages are signed with the secret before, too."},
    )
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class NewEndpointSchema(EndpointSchema):
    """A webhook endpoint with its secret, shown once."""

    secret = fields.String(
        required=True,
        metadata={
            "description": "Verify messages with it. Keep it; it is not shown again.",
            "example": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazxzVIr+8tk=",
        },
    )


class EndpointPage(SmallListPage):
    """A page of webhook endpoints."""

    data = fields.List(fields.Nested(EndpointSchema), required=True)


class EndpointQuery(SmallListQuery):
    """Which webhook endpoints."""


class SentTestSchema(Schema):
    """A test that is on its way."""

    delivery_id = Id(
        required=True,
        metadata={"description": "The delivery to look at, which is there in a moment."},
    )
