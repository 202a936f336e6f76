"""What health answers look like."""

from marshmallow import Schema, fields


class LiveSchema(Schema):
    """The process answers."""

    status = fields.String(required=True, metadata={"example": "live"})


class ReadySchema(Schema):
    """Whether requests can be served, per dependency."""

    status = fields.String(
        required=True,
        metadata={"description": "`ready`, `degraded` (Redis is away) or `unavailable`."},
    )
    dependencies = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"example": {"postgres": "ready", "redis": "ready"}},
    )
