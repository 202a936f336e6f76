"""What variants take and give over HTTP."""

from marshmallow import Schema, fields

from shop_api.domains.catalog.schemas import (
    INHERITS_PRICE,
    InventoryBody,
    InventorySchema,
    OptionSchema,
)
from shop_api.web.fields import BoundedList, Flag, Id, Instant, Money, Text, Whole
from shop_api.web.pagination import PageInfo, PageQuery


class StockKeepingBody(Schema):
    """How stock is kept. Its quantity is changed by `POST /inventory/adjustments`."""

    track_quantity = Flag()
    low_stock_alert = Whole(minimum=0, allow_none=True)
    allow_backorder = Flag()


class VariantChanges(Schema):
    """What to change of a variant."""

    title = Text(min_length=1, max_length=255, metadata={"example": "M / Blue"})
    sku = Text(
        min_length=1,
        max_length=100,
        allow_none=True,
        metadata={"description": "null: the product's."},
    )
    price = Money(
        allow_none=True,
        metadata={"description": "null: the product's, and changes with it (`inherits_price`)."},
    )
    cost_price = Money(allow_none=True, metadata={"description": "null: the product's."})
    options = BoundedList(fields.Nested(OptionSchema), max_length=10)
    weight_grams = Whole(minimum=0, allow_none=True, metadata={"example": 350})
    external_id = Text(min_length=1, max_length=255, allow_none=True)
    inventory = fields.Nested(StockKeepingBody)


class VariantReplacement(VariantChanges):
    """A variant as it is to be: what is left out is as in a new one."""

    title = Text(required=True, min_length=1, max_length=255, metadata={"example": "M / Blue"})


class NewVariantBody(VariantReplacement):
    """A variant to create."""

    inventory = fields.Nested(InventoryBody)


class VariantDetailSchema(Schema):
    """A variant of a product."""

    id = Id(required=True)
    product_id = Id(required=True)
    title = fields.String(required=True)
    sku = fields.String(required=True, allow_none=True)
    price = Money(required=True)
    inherits_price = fields.Boolean(required=True, metadata=INHERITS_PRICE)
    cost_price = Money(required=True, allow_none=True)
    inventory = fields.Nested(InventorySchema, required=True)
    weight_grams = fields.Integer(required=True, allow_none=True)
    options = fields.List(fields.Nested(OptionSchema), required=True)
    position = fields.Integer(required=True)
    external_id = fields.String(required=True, allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class VariantPage(Schema):
    """A page of variants."""

    data = fields.List(fields.Nested(VariantDetailSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class VariantQuery(PageQuery):
    """Which of a product's variants."""
