"""What questions take and give over HTTP."""

import re
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from shop_api.domains.insights.schemas import (
    CONVERTED,
    AnalyticsQuery,
    PeriodQuery,
    SalesEnvelopeSchema,
)
from shop_api.domains.insights.service import ASKABLE, DIMENSIONS, read_values
from shop_api.web.fields import (
    BoundedList,
    Currency,
    Flag,
    FlagParameter,
    Instant,
    Text,
    Whole,
    WholeParameter,
    one_of,
)
from shop_api.web.figures import RowSchema, amount, number, relative_change, share
from shop_api.web.pagination import MAX_CURSOR_LENGTH

MAX_LIMIT, DEFAULT_LIMIT = 1000, 100
MAX_METRICS, MAX_DIMENSIONS, MAX_FILTERS, MAX_VALUES = 20, 4, 20, 100
MAX_WHOLE = 99  # of hours and weekdays, which say themselves what they can be
MAX_SNAPSHOT = 2**63 - 1
MAX_FILTER_BYTES = 6000  # of a question's filters in the URL of its rows, which has 8 KB
FILTERABLE = tuple(name for name in DIMENSIONS if name != "time")  # which the period says
APPLIED_RATE = "Of converted rows, what amounts were multiplied by."


class DimensionValue(fields.Field[Any]):
    """A value of a dimension, or null for what has none."""

    def __init__(self, **options: Any) -> None:
        self.text, self.whole = Text(min_length=1), Whole(minimum=0, maximum=MAX_WHOLE)
        metadata = {
            "type": ["string", "integer"],
            "pattern": self.text.metadata["pattern"],
            **{"minLength": 1, "maxLength": 255, "minimum": 0, "maximum": MAX_WHOLE},
            "example": "web",
        }
        super().__init__(allow_none=True, metadata=metadata, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        kind = self.text if isinstance(value, str) else self.whole
        return kind.deserialize(value, attr, data)


class FilterSchema(Schema):
    """Only what has, or only what has not, one of the values."""

    dimension = fields.String(
        required=True, validate=one_of(*FILTERABLE), metadata={"example": "channel"}
    )
    operator = fields.String(
        validate=one_of("in", "not_in"), metadata={"description": "`in` (default) or `not_in`."}
    )
    values = BoundedList(DimensionValue(), min_length=1, max_length=MAX_VALUES, required=True)


class QuestionSchema(AnalyticsQuery):
    """A question: which metrics, cut by what, of what alone, of which days, in which order."""

    class Meta:
        exclude = ("real_time",)

    converted = Flag(metadata={"description": CONVERTED, "example": False})

    metrics = BoundedList(
        fields.String(validate=one_of(*ASKABLE)),
        min_length=1,
        max_length=MAX_METRICS,
        required=True,
        metadata={
            "description": "Names of the catalogue.",
            "example": ["net_sales", "orders"],
            "uniqueItems": True,
        },
    )
    dimensions = BoundedList(
        fields.String(validate=one_of(*DIMENSIONS)),
        max_length=MAX_DIMENSIONS,
        metadata={
            "description": "What to cut the figures by; none: the whole alone. `time` is cut into"
            " points of `interval`.",
            "example": ["channel"],
            "uniqueItems": True,
        },
    )
    filters = BoundedList(
        fields.Nested(FilterSchema),
        max_length=MAX_FILTERS,
        metadata={"description": "All of them must hold."},
    )
    compare = fields.String(
        validate=one_of("none", "previous_period", "previous_year"),
        metadata={
            "description": "`none` (default), as many days directly before, or the same days a year"
            " before. By `time` only the whole is compared."
        },
    )
    sort = Text(
        min_length=1,
        max_length=40,
        metadata={
            "description": "One of the metrics or dimensions asked for. Default: `time`, else"
            " `hour_of_day` or `weekday`, if asked for, else the first metric.",
            "example": "net_sales",
        },
    )
    order = fields.String(
        validate=validate.OneOf(("asc", "desc")),
        metadata={"description": "Default: of a metric `desc`, of a dimension `asc`."},
    )
    limit = Whole(
        minimum=1, maximum=MAX_LIMIT, metadata={"description": "How many rows. Default 100."}
    )
    after = Text(
        min_length=1,
        max_length=MAX_CURSOR_LENGTH,
        metadata={
            "description": "`end_cursor` of the page before, with the same question: the pages are"
            " of one snapshot and one instant."
        },
    )


def _figure(name: str) -> fields.Field[Any]:
    metric = ASKABLE[name]
    if metric.unit == "ratio":
        return share(f"{metric.formula}.")
    if metric.unit == "money":
        return amount(f"{metric.formula}.", allow_none=metric.denominator is not None)
    return number(f"{metric.formula}.")


def _optional(made: fields.Field[Any]) -> fields.Field[Any]:
    """There in an answer when it was asked for."""
    made.required = False
    return made


FiguresOfMetrics = Schema.from_dict(
    {name: _optional(_figure(name)) for name in ASKABLE}, name="FiguresOfMetrics"
)
ChangesOfMetrics = Schema.from_dict(
    {name: _optional(relative_change()) for name in ASKABLE}, name="ChangesOfMetrics"
)
AmountsOfMetrics = Schema.from_dict(
    {name: fields.Decimal(metadata={"example": 19.9}) for name in ASKABLE}, name="AmountsOfMetrics"
)
ValuesOfDimensions = Schema.from_dict(
    {
        name: (fields.Integer if dimension.kind == "whole" else fields.String)(
            allow_none=True, metadata={"description": f"{dimension.values}."}
        )
        for name, dimension in DIMENSIONS.items()
    },
    name="ValuesOfDimensions",
)


class LabelsSchema(Schema):
    """What the ids stand for in the catalogue as it is."""

    product = fields.String(allow_none=True, metadata={"example": "Fig mug"})
    category = fields.String(allow_none=True, metadata={"example": "Mugs"})


class FiguresSchema(Schema):
    """The metrics asked for."""

    metrics = fields.Nested(FiguresOfMetrics, required=True)
    previous = fields.Nested(FiguresOfMetrics, required=True, allow_none=True)
    change = fields.Nested(ChangesOfMetrics, required=True, allow_none=True)
    rows = fields.String(
        required=True,
        metadata={
            "description": "The rows behind `metrics`: they add up to them.",
            "example": "/api/v1/analytics/rows?metric=units&from=2026-03-01&to=2026-04-01",
        },
    )
    previous_rows = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The rows behind `previous`.", "example": None},
    )


class PartSchema(FiguresSchema):
    """The metrics of one value of each dimension."""

    dimensions = fields.Nested(ValuesOfDimensions, required=True)
    labels = fields.Nested(LabelsSchema, required=True)


class ForwardPageInfo(Schema):
    """Whether there is more, and where it begins."""

    has_next_page = fields.Boolean(required=True)
    end_cursor = fields.String(required=True, allow_none=True)


class AnswerSchema(SalesEnvelopeSchema):
    """The whole, and its parts by the dimensions asked for."""

    metrics = fields.List(fields.String(), required=True, metadata={"example": ["net_sales"]})
    dimensions = fields.List(fields.String(), required=True, metadata={"example": ["channel"]})
    totals = fields.Nested(FiguresSchema, required=True)
    data = fields.List(fields.Nested(PartSchema), required=True)
    page_info = fields.Nested(ForwardPageInfo, required=True)


class Values(Text):
    """Several values in one parameter: a comma between two, nothing for what has none."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        values = read_values(super()._deserialize(value, attr, data, **options))
        if len(values) > MAX_VALUES:
            raise ValidationError(f"At most {MAX_VALUES} values.")
        return values


class Wholes(Values):
    """Whole numbers so."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        values = super()._deserialize(value, attr, data, **options)
        if not all(each is None or re.fullmatch(r"\d{1,2}", each, re.ASCII) for each in values):
            raise ValidationError("Must be whole numbers, with commas between them.")
        return [None if each is None else int(each) for each in values]


class Names(Values):
    """Names of metrics so."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        names = super()._deserialize(value, attr, data, **options)
        if not set(names) <= ASKABLE.keys():
            raise ValidationError(f"Must be of: {', '.join(ASKABLE)}.")
        return names


def _parameters(name: str) -> dict[str, fields.Field[Any]]:
    """What a dimension is filtered by: values it has, and values it has not."""
    dimension = DIMENSIONS[name]

    def made(description: str) -> fields.Field[Any]:
        told = f"{description}: {dimension.values}. Commas between several; empty: what has none."
        if dimension.kind == "whole":
            pattern = r"^(\d{1,2})?(,(\d{1,2})?){0,9}$"
            return Wholes(metadata={"description": told, "pattern": pattern})
        return Values(max_length=MAX_FILTER_BYTES, metadata={"description": told})

    return {name: made("Only these"), f"not_{name}": made("All but these")}


DimensionParameters: Any = Schema.from_dict(
    {key: made for name in DIMENSIONS for key, made in _parameters(name).items()},
    name="DimensionParameters",
)
_NAME = f"({'|'.join(ASKABLE)})"


class RowsQuery(PeriodQuery, DimensionParameters):
    """Which figures to open: as a row of an answer says it in `rows`."""

    metric = Names(
        min_length=1,
        max_length=1000,
        required=True,
        metadata={
            "description": "The metrics to open; commas between several.",
            "example": "net_sales,units",
            "pattern": f"^{_NAME}(,{_NAME}){{0,{MAX_METRICS - 1}}}$",
        },
    )
    snapshot = WholeParameter(
        1,
        MAX_SNAPSHOT,
        metadata={"description": "The snapshot of the answer. Default: the newest."},
    )
    basis = AnalyticsQuery._declared_fields["basis"]  # noqa: SLF001
    currency = Currency(metadata={"description": "Only orders in it. Default: the tenant's."})
    converted = FlagParameter(metadata={"description": CONVERTED})
    include_bots = FlagParameter(
        metadata={"description": "Of sessions. `true`: those of known crawlers, too."}
    )
    until = Instant(
        metadata={"description": "Only what counts before it. Default: until the period ends."}
    )
    segmented_at = Instant(
        metadata={"description": "As of when customers are in segments. Default: the period's end."}
    )
    limit = WholeParameter(
        1, MAX_LIMIT, metadata={"description": "How many, 1 to 1000. Default 100."}
    )
    after = Text(
        min_length=1,
        max_length=MAX_CURSOR_LENGTH,
        metadata={"description": "Cursor: the page after this one, of the same snapshot."},
    )


class FigureRowSchema(RowSchema):
    """What an order, a refund, a payment, a customer or a session adds to the figures."""

    currency = fields.String(required=True, metadata={"description": "The order's own."})
    exchange_rate = fields.Decimal(
        required=True, allow_none=True, metadata={"description": APPLIED_RATE, "example": None}
    )
    amounts = fields.Nested(
        AmountsOfMetrics,
        required=True,
        metadata={"description": "What it adds to each metric; of a quotient, to what is divided."},
    )
    divisors = fields.Nested(
        AmountsOfMetrics,
        required=True,
        metadata={"description": "What it adds to what a quotient is divided by."},
    )


class RowsSchema(SalesEnvelopeSchema):
    """The rows behind figures."""

    figures = fields.Nested(
        FiguresOfMetrics, required=True, metadata={"description": "What all rows add up to."}
    )
    row_count = number("Rows of all pages.")
    data = fields.List(fields.Nested(FigureRowSchema), required=True)
    page_info = fields.Nested(ForwardPageInfo, required=True)


class MetricSchema(Schema):
    """A metric, as it is computed."""

    name = fields.String(required=True, metadata={"example": "net_sales"})
    title = fields.String(required=True, metadata={"example": "Net sales"})
    unit = fields.String(required=True, metadata={"description": "`money`, `count`, `ratio`, …"})
    formula = fields.String(
        required=True, metadata={"example": "gross_sales − discounts − returns"}
    )
    grain = fields.String(
        required=True, metadata={"description": "What a row of the source stands for."}
    )
    source = fields.String(required=True, metadata={"example": "daily_sales"})
    sql = fields.String(required=True, metadata={"description": "The aggregate over the source."})
    is_additive = fields.Boolean(
        required=True,
        metadata={"description": "Whether the figures of parts add up to that of the whole."},
    )
    dimensions = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "By which `/analytics/query` answers it.", "example": ["time"]},
    )


class DimensionSchema(Schema):
    """What figures can be cut, filtered and opened by."""

    name = fields.String(required=True, metadata={"example": "weekday"})
    title = fields.String(required=True, metadata={"example": "Weekday"})
    description = fields.String(
        required=True, metadata={"example": "The day of the week in the shop's timezone."}
    )
    values = fields.String(required=True, metadata={"example": "1 (Monday) to 7 (Sunday)"})
    metrics = fields.List(
        fields.String(), required=True, metadata={"example": ["net_sales", "units"]}
    )


class MetricsSchema(Schema):
    """The catalogue of metrics and dimensions."""

    data = fields.List(fields.Nested(MetricSchema), required=True)
    dimensions = fields.List(fields.Nested(DimensionSchema), required=True)
