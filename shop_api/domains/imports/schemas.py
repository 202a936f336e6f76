"""What imports and jobs take and give over HTTP."""

from flask_smorest.fields import Upload
from marshmallow import Schema, fields, validate

from shop_api.bulk.mapping import presets
from shop_api.web.fields import Id, Instant, one_of
from shop_api.web.pagination import PageInfo, PageQuery

JOB_STATES = ("queued", "running", "succeeded", "failed", "cancelled")


class ImportQuery(Schema):
    """Which mapping."""

    preset = fields.String(
        validate=one_of(*presets()),
        metadata={
            "description": "A mapping that comes with the product.",
            "example": "shopify",
        },
    )


class ImportForm(Schema):
    """The files of an import, as multipart/form-data."""

    files = fields.List(
        Upload(),
        required=True,
        validate=validate.Length(1, 100, error="Must be 1 to 100 files."),
        metadata={"description": "The export's files, under the names the mapping knows them by."},
    )
    mapping = Upload(metadata={"description": "A mapping of your own (YAML), instead of a preset."})


class ProductImportForm(ImportForm):
    """Files of products, as multipart/form-data."""

    mapping = Upload(
        metadata={
            "description": "Fields and their columns, or a whole mapping (JSON or YAML), instead of"
            " a preset."
        }
    )


_WRITTEN = {
    "description": "null: written, and counted, with the product or order it belongs to.",
    "example": 2,
}


class EntityCountsSchema(Schema):
    """Rows of one entity. Variants, stock, images and the parts of orders are written with the
    product or order they belong to, and counted there."""

    read = fields.Integer(required=True, metadata={"example": 3})
    created = fields.Integer(required=True, allow_none=True, metadata=_WRITTEN)
    updated = fields.Integer(required=True, allow_none=True, metadata=_WRITTEN)
    unchanged = fields.Integer(required=True, allow_none=True, metadata=_WRITTEN)
    rejected = fields.Integer(required=True, metadata={"example": 1})


class JobSchema(Schema):
    """A job."""

    id = Id(required=True)
    kind = fields.String(required=True, metadata={"example": "import"})
    state = fields.String(required=True, validate=one_of(*JOB_STATES))
    mapping = fields.String(required=True, allow_none=True, metadata={"example": "olist"})
    progress_ratio = fields.Float(
        required=True, metadata={"description": "From 0 to 1.", "example": 0.25}
    )
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(EntityCountsSchema),
        required=True,
        metadata={
            "description": "By entity that the mapping fills: products, customers, orders, …"
        },
    )
    rejected_count = fields.Integer(
        required=True,
        metadata={
            "description": "What was refused so far, over all entities: one row of a file may make"
            " a product, a variant and stock.",
            "example": 2,
        },
    )
    error_count = fields.Integer(
        required=True,
        metadata={
            "description": "How many refusals are listed under `errors_url`: at most 100 000.",
            "example": 2,
        },
    )
    errors_url = fields.String(
        required=True,
        metadata={
            "description": "Where they are listed, as JSON, NDJSON or CSV.",
            "example": "/api/v1/jobs/01890a5d-ac96-774b-bcce-b302099a8057/errors",
        },
    )
    error = fields.String(required=True, allow_none=True)
    is_cancel_requested = fields.Boolean(required=True)
    started_at = Instant(required=True, allow_none=True)
    finished_at = Instant(required=True, allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class JobPage(Schema):
    """A page of jobs."""

    data = fields.List(fields.Nested(JobSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class JobErrorSchema(Schema):
    """A value that a job refused, and why."""

    position = fields.Integer(
        required=True,
        metadata={"description": "From 1 on, in the order they were found.", "example": 1},
    )
    file = fields.String(required=True, metadata={"example": "goods.csv"})
    row = fields.Integer(
        required=True,
        metadata={
            "description": "From 1 on, the header not counted: 1 is line 2 of a spreadsheet.",
            "example": 3,
        },
    )
    column = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "null: the row as a whole.", "example": "title"},
    )
    reason = fields.String(required=True, metadata={"example": "name is required"})


class JobErrorPage(Schema):
    """A page of a job's errors."""

    data = fields.List(fields.Nested(JobErrorSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class JobErrorQuery(PageQuery):
    """Which of a job's errors, as JSON."""


class JobQuery(PageQuery):
    """Which jobs."""

    sort = fields.String(validate=one_of("created_at"))
    state = fields.List(
        fields.String(validate=one_of(*JOB_STATES)), metadata={"description": "Repeatable."}
    )
