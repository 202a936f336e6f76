"""What a batch takes and gives over HTTP."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from shop_api.web.fields import BoundedList, Text, matching, one_of

MAX_REQUESTS = 20
BATCH_PATH = "/api/v1/batch"

# Plain segments below the API's root: no scheme or host, no empty segment, no percent sign that
# could hide another path; then a query of what a URL may hold.
PATH_PATTERN = (
    r"^/api/v1(/[A-Za-z0-9_\-][A-Za-z0-9_.\-]{0,254}){1,8}"
    r"(\?[A-Za-z0-9_.~!$&'()*+,;=:@/?%\-]{0,4000})?$"
)
HEADER = matching(r"^[\x20-\x7e]*$", "Must be printable ASCII.")


class BatchHeaders(Schema):
    """The headers a request of a batch may have; the credential is the batch's."""

    idempotency_key = Text(
        data_key="Idempotency-Key",
        min_length=1,
        max_length=255,
        validate=matching(
            r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$",
            "Must be printable ASCII, without a space at its ends.",
        ),
        metadata={"example": "order-7"},
    )
    if_match = Text(data_key="If-Match", min_length=1, max_length=1000, validate=HEADER)
    if_none_match = Text(data_key="If-None-Match", min_length=1, max_length=1000, validate=HEADER)


class BatchRequestSchema(Schema):
    """A request of a batch."""

    method = fields.String(
        required=True,
        validate=one_of("GET", "POST", "PUT", "PATCH", "DELETE"),
        metadata={"example": "GET"},
    )
    path = Text(
        required=True,
        min_length=1,
        max_length=8000,
        validate=matching(
            PATH_PATTERN,
            "Must be a path of this API with its query, without a host: /api/v1/….",
        ),
        metadata={
            "description": "With its query; of this API, and not the batch's own.",
            "example": "/api/v1/products?limit=2",
        },
    )
    headers = fields.Nested(BatchHeaders)
    body = fields.Dict(
        allow_none=True,
        metadata={"description": "A JSON object.", "example": {"name": "Fig Mug"}},
    )

    @validates_schema
    def no_batch_in_a_batch(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a batch of batches, and a body that would not be read."""
        if data.get("path", "").partition("?")[0] == BATCH_PATH:
            raise ValidationError("A batch holds no batch.", "path")
        if data.get("method") == "GET" and data.get("body") is not None:
            raise ValidationError("A GET has no body.", "body")


class BatchBody(Schema):
    """The requests of a batch."""

    requests = BoundedList(
        fields.Nested(BatchRequestSchema), required=True, min_length=1, max_length=MAX_REQUESTS
    )


class BatchResponseSchema(Schema):
    """The answer to a request of a batch."""

    status = fields.Integer(required=True, metadata={"example": 200})
    headers = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"example": {"Content-Type": "application/json"}},
    )
    body = fields.Raw(
        required=True,
        allow_none=True,
        metadata={"description": "JSON as it is; other text as a string; `null` without one."},
    )
    is_body_omitted = fields.Boolean(
        required=True,
        metadata={"description": "There is a body, but it is no text, or all are too large."},
    )


class BatchAnswerSchema(Schema):
    """The answers, in the order of the requests."""

    responses = fields.List(fields.Nested(BatchResponseSchema), required=True)
