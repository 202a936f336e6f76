"""What health answers look like."""

from marshmallow import Schema, fields

from shop_api.web.fields import Id, Instant


class LiveSchema(Schema):
    """The process answers."""

    status = fields.String(required=True, metadata={"example": "live"})


class DependencySchema(Schema):
    """How something stands that requests or figures need."""

    status = fields.String(
        required=True,
        metadata={"description": "`ready`, `behind` or `unavailable`.", "example": "ready"},
    )
    seconds = fields.Float(
        allow_none=True, metadata={"description": "How long its answer took.", "example": 0.0004}
    )
    lag_seconds = fields.Float(
        allow_none=True, metadata={"description": "How far it is behind.", "example": 1.2}
    )
    as_of = Instant(
        allow_none=True, metadata={"description": "All commits before this are in the lake."}
    )


class InstanceCountSchema(Schema):
    """The processes of a kind."""

    count = fields.Integer(required=True, metadata={"example": 2})
    oldest_heartbeat_seconds = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Since one of them has said nothing.", "example": 3.1},
    )


class InstanceSchema(Schema):
    """A process that runs."""

    id = Id(required=True)
    kind = fields.String(
        required=True, metadata={"description": "`api`, `realtime`, `worker`.", "example": "api"}
    )
    host = fields.String(required=True, metadata={"example": "shop-1"})
    pid = fields.Integer(required=True)
    version = fields.String(required=True, metadata={"example": "0.1.0"})
    started_at = Instant(required=True)
    heartbeat_age_seconds = fields.Float(required=True)


class ReadySchema(Schema):
    """Whether requests can be served; more for those who hold the platform key."""

    status = fields.String(
        required=True,
        metadata={
            "description": "`ready`, `degraded` (Redis is away) or `unavailable`.",
            "example": "ready",
        },
    )
    dependencies = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(DependencySchema),
        metadata={"description": "With the platform key: postgres, redis, lake, relay, replica."},
    )
    instance_counts = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(InstanceCountSchema),
        metadata={"description": "With the platform key: the processes of each kind."},
    )
    instances = fields.List(
        fields.Nested(InstanceSchema),
        metadata={"description": "With the platform key: every process, on whatever machine."},
    )
