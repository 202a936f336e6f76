"""What figures of the assortment take and give over HTTP."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, pre_load

from shop_api.domains.insights.schemas import (
    AnalyticsQuery,
    Day,
    PeriodQuery,
    PeriodSchema,
    SalesEnvelopeSchema,
)
from shop_api.domains.insights.service import (
    ABC_CLASSES,
    ABC_METRICS,
    DEAD_AFTER_DAYS,
    FILE_FORMATS,
    INVENTORY_GROUPS,
    INVENTORY_SORTS,
    PRODUCT_METRICS,
)
from shop_api.domains.queries.schemas import FiguresSchema
from shop_api.web.cache_policies import RealTimeQuery
from shop_api.web.fields import (
    Currency,
    FlagParameter,
    Id,
    Instant,
    WholeParameter,
    one_of,
)
from shop_api.web.figures import amount, number, share
from shop_api.web.pagination import MAX_LIMIT, MAX_OFFSET, Pagination

MAX_DEAD_DAYS = 3650
FILE_ELSEWHERE = (
    "These figures are JSON alone. As a file: /api/v1/analytics/reports/sales?group_by=product with"
    " the same period and `format`."
)


class InventoryReportQuery(PeriodQuery, RealTimeQuery):
    """Which days, which rows, in which order."""

    class Meta:
        exclude = ("interval",)

    end = Day(
        data_key="to",
        metadata={"description": "The day after the last; stock is that of its first instant."},
    )
    currency = Currency(
        metadata={"description": "Of sales, costs and values. Default: the tenant's."}
    )
    group_by = fields.String(
        validate=one_of(*INVENTORY_GROUPS),
        metadata={"description": "What a row is of. Default `variant`."},
    )
    sort = fields.String(
        validate=one_of(*INVENTORY_SORTS),
        metadata={"description": "Default `stock_value`. What has none comes last, ties by id."},
    )
    order = fields.String(
        validate=one_of("asc", "desc"), metadata={"description": "Default `desc`."}
    )
    limit = WholeParameter(
        1,
        MAX_LIMIT,
        metadata={"description": "How many rows, 1 to 100. Default 20; of a file all."},
    )
    offset = WholeParameter(
        0, MAX_OFFSET, metadata={"description": "How many rows to pass over, 0 to 100000."}
    )
    format = fields.String(
        validate=one_of("json", *FILE_FORMATS),
        metadata={"description": "Default `json`, in pages; the others are files to download."},
    )
    dead_after_days = WholeParameter(
        1,
        MAX_DEAD_DAYS,
        metadata={
            "description": "Stock of which nothing was sold for so many days up to the end of the"
            f" period is dead. Default {DEAD_AFTER_DAYS}."
        },
    )
    abc_by = fields.String(
        validate=one_of(*ABC_METRICS),
        metadata={"description": "Which sales decide the class. Default `gross_sales`."},
    )
    abc_class = fields.String(
        validate=one_of(*ABC_CLASSES), metadata={"description": "Only rows of the class."}
    )
    dead_stock = FlagParameter(metadata={"description": "Only dead stock, or only the rest."})
    in_stock = FlagParameter(
        metadata={"description": "Only what lies there, or only what does not."}
    )
    location_id = Id(
        metadata={"description": "Only stock that lies there, and what was sold from there."}
    )
    category_id = Id(metadata={"description": "Only products whose first category by path it is."})
    product_id = Id(metadata={"description": "Only its variants."})


class InventoryFigures(Schema):
    """Stock at the end of the period, and what was sold in it."""

    stock_on_hand = number("Below zero where more was handed over than was there.")
    stock_reserved = number("Of it, what is promised to open orders.")
    stock_value = amount("Units on hand × the variant's cost now, where known in the currency.")
    stock_value_coverage = share("Units on hand whose cost is known ÷ units on hand.")
    units_sold = number("Of orders placed in the period, returned units included.")
    gross_sales = amount("Of those units, in the currency.")
    net_sales = amount("gross_sales − discounts − returns.")
    sell_through = share("units_sold ÷ (units_sold + units on hand).")
    days_of_inventory = share("Units on hand ÷ units sold in a day of the period.")
    last_sold_at = Instant(
        required=True,
        allow_none=True,
        metadata={"description": "When the last order before the end of the period was placed."},
    )


class InventoryReportRowSchema(InventoryFigures):
    """A variant, product, category or location."""

    id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Null: what is of no category, or was sold from no location."},
    )
    product_id = fields.String(required=True, allow_none=True)
    name = fields.String(
        required=True, allow_none=True, metadata={"description": "Of the product or category."}
    )
    title = fields.String(
        required=True, allow_none=True, metadata={"description": "Of the variant."}
    )
    sku = fields.String(required=True, allow_none=True)
    abc_class = fields.String(
        required=True,
        metadata={
            "description": "By falling sales: A while those before come to less than 80 % of all,"
            " B to less than 95 %, else C.",
            "example": "A",
        },
    )
    is_dead_stock = fields.Boolean(
        required=True,
        metadata={"description": "On hand, and nothing sold of it for `dead_after_days`."},
    )


class DeadStockSchema(Schema):
    """What lies there and does not sell."""

    rows = number("Rows that are dead stock.")
    units = number()
    value = amount()


class InventoryReportTotalsSchema(InventoryFigures):
    """The same over all rows, on whatever page."""

    rows = number("Rows on all pages.")
    dead_stock = fields.Nested(DeadStockSchema, required=True)


class InventoryReportSchema(Schema):
    """A page of the inventory report."""

    as_of = Instant(
        required=True, metadata={"description": "All commits before this instant are in it."}
    )
    snapshot = fields.String(required=True, metadata={"example": "42"})
    timezone = fields.String(required=True, metadata={"example": "America/Sao_Paulo"})
    currency = fields.String(required=True, metadata={"example": "BRL"})
    basis = fields.String(required=True, metadata={"example": "order_date"})
    period = fields.Nested(PeriodSchema, required=True)
    stock_at = Instant(required=True, metadata={"description": "Stock is that of this instant."})
    days = number("Days of the period up to today.")
    group_by = fields.String(required=True, metadata={"example": "variant"})
    abc_by = fields.String(required=True, metadata={"example": "gross_sales"})
    dead_after_days = number()
    totals = fields.Nested(InventoryReportTotalsSchema, required=True)
    data = fields.List(fields.Nested(InventoryReportRowSchema), required=True)
    pagination = fields.Nested(Pagination, required=True)


class ProductFiguresQuery(AnalyticsQuery):
    """Which figures of products, in which order."""

    @pre_load
    def has_no_files(self, data: Any, **_: Any) -> Any:
        """Say where there is a file to whoever asks for one here."""
        if "format" in data:
            raise ValidationError(FILE_ELSEWHERE, "format")
        return data

    sort = fields.String(
        validate=one_of(*PRODUCT_METRICS),
        metadata={"description": "Default `gross_sales`; ties by id."},
    )
    order = fields.String(
        validate=one_of("asc", "desc"), metadata={"description": "Default `desc`."}
    )
    limit = WholeParameter(
        1, MAX_LIMIT, metadata={"description": "How many rows, 1 to 100. Default 20."}
    )
    offset = WholeParameter(
        0, MAX_OFFSET, metadata={"description": "How many rows to pass over, 0 to 100000."}
    )
    abc_by = fields.String(
        validate=one_of(*ABC_METRICS),
        metadata={"description": "Which sales decide share and class. Default `gross_sales`."},
    )


class ProductFigureSchema(FiguresSchema):
    """What a product sold."""

    product_id = fields.String(required=True, allow_none=True)
    name = fields.String(required=True, allow_none=True, metadata={"example": "Fig mug"})
    share_of_sales = share("Its sales ÷ all sales.")
    abc_class = fields.String(
        required=True,
        metadata={"description": "As in the inventory report.", "example": "A"},
    )


class ProductFiguresSchema(SalesEnvelopeSchema):
    """A page of products, and the figures of all sales."""

    abc_by = fields.String(required=True, metadata={"example": "gross_sales"})
    totals = fields.Nested(FiguresSchema, required=True)
    data = fields.List(fields.Nested(ProductFigureSchema), required=True)
    pagination = fields.Nested(Pagination, required=True)
