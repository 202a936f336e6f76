"""What webhook deliveries take and give over HTTP."""

from marshmallow import Schema, fields

from shop_api.web.fields import BoundedList, Id, Instant, one_of
from shop_api.web.pagination import PageInfo, PageQuery
from shop_api.webhooks.attempts import OUTCOMES
from shop_api.webhooks.events import EVENT_TYPES, TEST_EVENT

STATES = ("pending", "delivered", "failed")
TYPES = (*EVENT_TYPES, TEST_EVENT)


class DeliverySchema(Schema):
    """An event for a webhook endpoint."""

    id = Id(required=True)
    message_id = fields.String(
        required=True,
        metadata={
            "description": "The header `webhook-id`: the same in every attempt.",
            "example": "msg_01890a5dac96774bbcceb302099a8057",
        },
    )
    endpoint_id = Id(required=True)
    event_id = fields.Integer(
        required=True, metadata={"description": "The event's `id`.", "example": 4711}
    )
    event_type = fields.String(
        required=True, validate=one_of(*TYPES), metadata={"example": "order_created"}
    )
    state = fields.String(
        required=True,
        validate=one_of(*STATES),
        metadata={
            "description": "`pending` until it is answered with 2xx; `failed` once it is not tried"
            " any more.",
            "example": "delivered",
        },
    )
    attempt_count = fields.Integer(required=True, metadata={"example": 1})
    last_status = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Of the newest attempt that was answered.", "example": 204},
    )
    next_attempt_at = Instant(required=True, allow_none=True)
    expires_at = Instant(
        required=True, metadata={"description": "Until then it is tried, if it has to be."}
    )
    finished_at = Instant(required=True, allow_none=True)
    created_at = Instant(required=True)


class AttemptSchema(Schema):
    """One attempt, and its answer."""

    number = fields.Integer(required=True, metadata={"example": 1})
    started_at = Instant(required=True)
    duration_microseconds = fields.Integer(required=True, metadata={"example": 41_250})
    outcome = fields.String(
        required=True, validate=one_of(*OUTCOMES), metadata={"example": "delivered"}
    )
    request_headers = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={
            "example": {
                "webhook-id": "msg_01890a5dac96774bbcceb302099a8057",
                "webhook-timestamp": "1772366400",
                "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
            }
        },
    )
    status = fields.Integer(required=True, allow_none=True, metadata={"example": 204})
    response_headers = fields.List(
        fields.List(fields.String(), metadata={"example": ["Server", "nginx"]}),
        required=True,
        allow_none=True,
        metadata={
            "description": "The first 32, as pairs; null for who may not see the message.",
            "example": [["Server", "nginx"]],
        },
    )
    response_body = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The first 1024 bytes; null for who may not see the message.",
            "example": "",
        },
    )
    error = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why there was no answer.", "example": None},
    )


class DeliveryDetailSchema(DeliverySchema):
    """An event for a webhook endpoint, with what was sent and answered."""

    request_body = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The message as it would be sent now; `null` where the reader may not"
            " see such events.",
            "example": '{"type":"order_created","timestamp":"2026-03-01T12:00:00.000000Z",'
            '"data":{"order_id":"01890a5d-ac96-774b-bcce-b302099a8057"},"id":4711}',
        },
    )
    attempts = fields.List(fields.Nested(AttemptSchema), required=True)


class DeliveryPage(Schema):
    """A page of webhook deliveries."""

    data = fields.List(fields.Nested(DeliverySchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class DeliveryQuery(PageQuery):
    """Which webhook deliveries."""

    endpoint_id = Id()
    state = fields.String(validate=one_of(*STATES))
    event_type = fields.String(validate=one_of(*TYPES))
    created_after = Instant()
    created_before = Instant()


class RangeBody(Schema):
    """Which deliveries of an endpoint to send again."""

    start = Instant(
        required=True,
        data_key="from",
        attribute="start",
        metadata={"description": "Deliveries made at this instant and later."},
    )
    end = Instant(
        required=True,
        data_key="to",
        attribute="end",
        metadata={
            "description": "And before this one.",
            "example": "2026-02-01T00:00:00.000000Z",
        },
    )
    states = BoundedList(
        fields.String(validate=one_of("delivered", "failed")),
        min_length=1,
        max_length=2,
        load_default=["failed"],
        metadata={"description": "Default: `failed`.", "example": ["failed"]},
    )


class RedeliveredSchema(Schema):
    """How many are sent again."""

    count = fields.Integer(required=True, metadata={"example": 12})
    has_more = fields.Boolean(
        required=True,
        metadata={"description": "10 000 are sent again at a time: ask once more."},
    )
