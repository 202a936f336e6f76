"""What the sales report takes and gives over HTTP."""

from typing import Any

from marshmallow import ValidationError, fields

from shop_api.domains.insights.schemas import AnalyticsQuery, PeriodQuery, SalesEnvelopeSchema
from shop_api.domains.insights.service import DIMENSIONS, FILE_FORMATS, SALES_GROUPS, SALES_METRICS
from shop_api.domains.queries.schemas import (
    MAX_DIMENSIONS,
    MAX_METRICS,
    DimensionParameters,
    FiguresSchema,
    PartSchema,
    QuestionSchema,
    Values,
)
from shop_api.web.cache_policies import RealTimeQuery
from shop_api.web.fields import Currency, WholeParameter, one_of
from shop_api.web.pagination import MAX_OFFSET, Pagination

MAX_ROWS = 1_000
OF_NO_SALE = sorted(DIMENSIONS.keys() - set(SALES_GROUPS))


class Choices(Values):
    """Some of a list of names, each once, with commas between them."""

    def __init__(self, known: tuple[str, ...], most: int, description: str, example: str) -> None:
        self._known, self._most = known, most
        name = f"({'|'.join(known)})"
        super().__init__(
            min_length=1,
            max_length=1000,
            metadata={
                "description": f"{description} Commas between several, {most} at most.",
                "example": example,
                "pattern": f"^{name}(,{name}){{0,{most - 1}}}$",
            },
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        names = super()._deserialize(value, attr, data, **options)
        if not set(names) <= set(self._known):
            raise ValidationError(f"Must be of: {', '.join(self._known)}.")
        if len(names) > self._most:
            raise ValidationError(f"At most {self._most}.")
        return names


class SalesReportQuery(PeriodQuery, RealTimeQuery, DimensionParameters):
    """Which days, cut by what, of what alone, in which order, in which form."""

    class Meta:
        """Where in time is said by the period, its points by `group_by`; visits sell nothing."""

        exclude = (
            "interval",
            *(name for other in OF_NO_SALE for name in (other, f"not_{other}")),
        )

    group_by = Choices(
        SALES_GROUPS,
        MAX_DIMENSIONS,
        "What a row is of. Default `day`. One length of time, beside any others.",
        "month,channel",
    )
    metrics = Choices(
        SALES_METRICS,
        MAX_METRICS,
        "Which metrics. Default: those of `/analytics/revenue` that can be told by all of"
        " `group_by` and the filters.",
        "orders,net_sales",
    )
    compare = QuestionSchema._declared_fields["compare"]  # noqa: SLF001
    basis = AnalyticsQuery._declared_fields["basis"]  # noqa: SLF001
    currency = Currency(metadata={"description": "Only orders in it. Default: the tenant's."})
    converted = AnalyticsQuery._declared_fields["converted"]  # noqa: SLF001
    sort = fields.String(
        validate=one_of(*SALES_METRICS, *SALES_GROUPS),
        metadata={
            "description": "One of the metrics or groupings of the report. Default: the points of"
            " time, or the hours or weekdays, if there are, else the first metric."
        },
    )
    order = fields.String(
        validate=one_of("asc", "desc"),
        metadata={"description": "Default: of a metric `desc`, of a grouping `asc`."},
    )
    limit = WholeParameter(
        1,
        MAX_ROWS,
        metadata={
            "description": "How many, 1 to 1000. Default 100; of a file all.",
            "example": 100,
        },
    )
    offset = WholeParameter(
        0,
        MAX_OFFSET,
        metadata={"description": "How many rows to pass over, 0 to 100000.", "example": 0},
    )
    format = fields.String(
        validate=one_of("json", *FILE_FORMATS),
        metadata={"description": "Default `json`, in pages; the others are files to download."},
    )


class SalesReportSchema(SalesEnvelopeSchema):
    """A page of the sales report, and the figures of all its rows."""

    group_by = fields.List(fields.String(), required=True, metadata={"example": ["day"]})
    metrics = fields.List(fields.String(), required=True, metadata={"example": ["net_sales"]})
    totals = fields.Nested(FiguresSchema, required=True)
    data = fields.List(fields.Nested(PartSchema), required=True)
    pagination = fields.Nested(Pagination, required=True)
