"""What notifications give over HTTP."""

from marshmallow import Schema, fields

from shop_api.spine.notifications import KINDS, LEVELS
from shop_api.web.fields import FlagParameter, Id, Instant, one_of
from shop_api.web.pagination import PageInfo, PageQuery


class NotificationSchema(Schema):
    """What the platform tells a tenant."""

    id = Id(required=True)
    kind = fields.String(
        required=True,
        validate=one_of(*KINDS),
        metadata={"example": "quarantined_data"},
    )
    level = fields.String(required=True, validate=one_of(*LEVELS), metadata={"example": "error"})
    title = fields.String(required=True, metadata={"example": "Your figures are held back"})
    message = fields.String(
        required=True,
        metadata={"example": "2 rows of orders break a rule of your figures: amounts add up."},
    )
    action_url = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "Where more is to be seen.",
            "example": "/api/v1/analytics/pipelines",
        },
    )
    data = fields.Dict(
        required=True,
        metadata={
            "description": "What the message says, for programs; what there is depends on `kind`.",
            "example": {"state": "held", "table": "orders", "row_count": 2},
        },
    )
    created_at = Instant(required=True)
    read_at = Instant(required=True, allow_none=True)
    resolved_at = Instant(
        required=True,
        allow_none=True,
        metadata={"description": "When what it tells of was over; null: it goes on."},
    )


class NotificationPage(Schema):
    """A page of notifications."""

    data = fields.List(fields.Nested(NotificationSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class NotificationQuery(PageQuery):
    """Which notifications."""

    is_read = FlagParameter(metadata={"description": "`false`: those that nobody has read."})
    kind = fields.String(validate=one_of(*KINDS))
    level = fields.String(validate=one_of(*LEVELS))


class MarkedSchema(Schema):
    """How many notifications were marked as read."""

    count = fields.Integer(required=True, metadata={"example": 3})
