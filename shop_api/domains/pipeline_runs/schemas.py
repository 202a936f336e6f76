"""What is told of pipelines over HTTP."""

from typing import Any

from marshmallow import Schema, fields

from shop_api.spine.held_data import CAUSES
from shop_api.web.fields import Id, Instant, Text, one_of
from shop_api.web.pagination import PageInfo, PageQuery

STATES = ("running", "succeeded", "failed")
SHARE_STATES = ("succeeded", "refused", "failed")


def _seconds(description: str, example: float) -> Any:
    metadata = {"description": description, "example": example}
    return fields.Float(required=True, allow_none=True, metadata=metadata)


class HeldSchema(Schema):
    """Why a shop's data is held back, and until when at least."""

    since = Instant(required=True)
    retry_at = Instant(required=True, metadata={"description": "When it is tried again."})
    attempts = fields.Integer(required=True, metadata={"description": "Refusals in a row."})
    cause = fields.String(
        required=True,
        validate=one_of(*CAUSES),
        metadata={"description": "`rule`: rows break a rule of the figures.", "example": "rule"},
    )
    table = fields.String(required=True, allow_none=True, metadata={"example": "orders"})
    rule = fields.String(required=True, allow_none=True, metadata={"example": "amounts add up"})
    row_count = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Rows that break it."}
    )


class FreshnessSchema(Schema):
    """How fresh a shop's figures are."""

    state = fields.String(
        required=True,
        validate=one_of("empty", "fresh", "late", "held_back"),
        metadata={"example": "fresh"},
    )
    message = fields.String(
        required=True,
        metadata={
            "description": "The same in words for the merchant.",
            "example": "Your figures are up to date.",
        },
    )
    as_of = Instant(
        required=True,
        allow_none=True,
        metadata={"description": "What happened before is in the figures."},
    )
    lag_seconds = _seconds("The age of `as_of`.", 1.4)
    is_late = fields.Boolean(required=True)
    late_since = Instant(required=True, allow_none=True)
    held = fields.Nested(HeldSchema, required=True, allow_none=True)


class _RunFields(Schema):
    """What is told of a run to anyone."""

    id = Id(required=True)
    name = fields.String(required=True, metadata={"example": "lake_export"})
    started_at = Instant(required=True)
    finished_at = Instant(required=True, allow_none=True)
    duration_seconds = _seconds("From its start to its end.", 0.21)
    lag_seconds = _seconds(
        "From the oldest event it took in, or from what its figures are as of, to its end.", 1.7
    )
    rows_written = fields.Integer(required=True, metadata={"example": 12})
    bytes_written = fields.Integer(required=True, metadata={"example": 18_220})
    files_written = fields.Integer(required=True, metadata={"example": 3})


class PipelineShareSchema(_RunFields):
    """A run and what it did of this shop: rows, bytes and files are of it alone."""

    state = fields.String(
        required=True,
        validate=one_of(*SHARE_STATES),
        metadata={
            "description": "`refused`: the shop's data was held back.",
            "example": "succeeded",
        },
    )


class PipelinesSchema(Schema):
    """How fresh a shop's figures are, and a page of the runs that made them."""

    freshness = fields.Nested(FreshnessSchema, required=True)
    data = fields.List(fields.Nested(PipelineShareSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class PipelineRunSchema(_RunFields):
    """A run, of all tenants together."""

    state = fields.String(
        required=True, validate=one_of(*STATES), metadata={"example": "succeeded"}
    )
    attempt = fields.Integer(
        required=True, metadata={"description": "Grows while runs fail in a row."}
    )
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "Rows written by table.", "example": {"orders": 12}},
    )
    error = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why it failed, or whom it had to leave out."},
    )


class PipelineRunPage(Schema):
    """A page of runs."""

    data = fields.List(fields.Nested(PipelineRunSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class PipelineRunQuery(PageQuery):
    """Which runs."""

    name = Text(min_length=1, max_length=64, metadata={"example": "lake_export"})
    state = fields.String(validate=one_of(*STATES))
