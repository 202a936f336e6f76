"""What the audit log gives over HTTP."""

from marshmallow import Schema, fields

from shop_api.web.fields import Id, Instant, Text
from shop_api.web.pagination import PageInfo, PageQuery

VALUES = {
    "description": "Only what differs; everything where there was nothing before, or is nothing"
    " now. Secrets and personal data of customers are `***`.",
    "example": {"role": "staff"},
}
SPELLED = "As entries show it; one that no entry has leaves none."


class AuditEntrySchema(Schema):
    """A change: who made it, of what, and the values before and after."""

    id = Id(required=True)
    action = fields.String(required=True, metadata={"example": "user_updated"})
    subject_type = fields.String(required=True, metadata={"example": "user"})
    subject_id = Id(required=True, allow_none=True)
    actor = fields.String(
        required=True, metadata={"description": "`user:<id>`, `api_key:<id>` or `system:<what>`."}
    )
    request_id = fields.String(required=True)
    before = fields.Dict(required=True, allow_none=True, metadata=VALUES)
    after = fields.Dict(required=True, allow_none=True, metadata=VALUES)
    created_at = Instant(required=True)


class AuditPage(Schema):
    """A page of the audit log."""

    data = fields.List(fields.Nested(AuditEntrySchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class AuditQuery(PageQuery):
    """Which changes."""

    subject_type = Text(
        min_length=1,
        max_length=64,
        metadata={"description": SPELLED, "example": "order"},
    )
    subject_id = Id()
    actor = Text(
        min_length=1,
        max_length=64,
        metadata={"example": "user:0190d6f8-7b9a-7c3e-8f2a-1b2c3d4e5f60"},
    )
    action = Text(
        min_length=1,
        max_length=64,
        metadata={"description": SPELLED, "example": "order_cancelled"},
    )
    request_id = Text(min_length=1, max_length=128)
    created_after = Instant(metadata={"description": "After this instant."})
    created_before = Instant(metadata={"description": "Before this instant."})
