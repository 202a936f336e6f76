"""What inventory takes and gives over HTTP."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from shop_api.web.fields import (
    SLUG,
    BoundedList,
    Flag,
    FlagParameter,
    Id,
    Instant,
    Text,
    Whole,
    one_of,
)
from shop_api.web.pagination import PageInfo, PageQuery, SmallListPage, SmallListQuery

# why stock was adjusted; `adjusted` is without a reason
ADJUSTMENT_REASONS = (
    "adjusted",
    "correction",
    "recount",
    "received",
    "damaged",
    "lost",
    "returned",
)
# why it moved
REASONS = (*ADJUSTMENT_REASONS, "reserved", "released", "sold", "imported")


class LocationBody(Schema):
    """A location to create."""

    name = Text(required=True, min_length=1, max_length=100, metadata={"example": "Warehouse"})
    code = Text(
        required=True,
        min_length=1,
        max_length=40,
        validate=SLUG,
        metadata={"example": "warehouse"},
    )


class LocationChanges(Schema):
    """What to change of a location."""

    name = Text(min_length=1, max_length=100, metadata={"example": "Main warehouse"})
    code = Text(min_length=1, max_length=40, validate=SLUG)
    is_default = Flag(
        validate=validate.Equal(True, error="Make another location the default instead."),
        metadata={
            "description": "true: stock without a location is here from now on.",
            "enum": [True],
        },
    )


class LocationSchema(Schema):
    """A place where stock lies."""

    id = Id(required=True)
    name = fields.String(required=True)
    code = fields.String(required=True)
    is_default = fields.Boolean(required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class LocationPage(SmallListPage):
    """A page of locations."""

    data = fields.List(fields.Nested(LocationSchema), required=True)


class LocationQuery(SmallListQuery):
    """Which locations."""


class StockSchema(Schema):
    """What lies of a variant at a location."""

    variant_id = Id(required=True)
    product_id = Id(required=True)
    location_id = Id(required=True)
    sku = fields.String(required=True, allow_none=True)
    quantity = fields.Integer(required=True)
    reserved_quantity = fields.Integer(required=True)
    available_quantity = fields.Integer(required=True)
    low_stock_alert = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Low when no more than this is available."},
    )
    updated_at = Instant(required=True)


class StockPage(Schema):
    """A page of stock levels."""

    data = fields.List(fields.Nested(StockSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class StockQuery(PageQuery):
    """Which stock levels."""

    variant_id = fields.List(Id(), metadata={"description": "Repeatable."})
    product_id = fields.List(Id(), metadata={"description": "Repeatable."})
    sku = Text(
        min_length=1,
        max_length=100,
        metadata={
            "description": "Of the variants shown with this SKU, exactly as it is written: their"
            " own, or their product's where they have none.",
            "example": "FIG-1",
        },
    )
    location_id = Id()
    low_stock = FlagParameter(
        metadata={
            "description": "true: at most the variant's `low_stock_alert` is available at the"
            " location. false: the others."
        }
    )


class MovementSchema(Schema):
    """A change of what lies at a location, or of what of it is held for orders."""

    id = Id(required=True)
    variant_id = Id(required=True)
    location_id = Id(required=True)
    quantity_delta = fields.Integer(required=True)
    reserved_delta = fields.Integer(required=True)
    reason = fields.String(required=True, metadata={"enum": list(REASONS)})
    order_id = Id(required=True, allow_none=True)
    note = fields.String(required=True, allow_none=True)
    actor = fields.String(
        required=True, metadata={"description": "`user:<id>`, `api_key:<id>` or `system:<what>`."}
    )
    created_at = Instant(required=True)


class MovementPage(Schema):
    """A page of the ledger."""

    data = fields.List(fields.Nested(MovementSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class MovementQuery(PageQuery):
    """Which movements."""

    variant_id = Id()
    location_id = Id()
    order_id = Id()
    reason = fields.List(
        fields.String(validate=one_of(*REASONS)), metadata={"description": "Repeatable."}
    )
    created_after = Instant()
    created_before = Instant()


class AdjustmentSchema(Schema):
    """One change of stock: by `delta`, or to `quantity`."""

    variant_id = Id(required=True)
    location_id = Id(metadata={"description": "Default: the default location."})
    delta = Whole(minimum=-1_000_000, maximum=1_000_000, metadata={"example": -2})
    quantity = Whole(minimum=0, maximum=100_000_000)
    expected_quantity = Whole(
        minimum=0,
        metadata={"description": "409 `unexpected_quantity` when the stock is another."},
    )

    @validates_schema
    def delta_or_quantity(self, data: dict[str, Any], **_: Any) -> None:
        """Exactly one of the two."""
        if ("delta" in data) == ("quantity" in data):
            raise ValidationError("Send either delta or quantity.", "delta")


class AdjustmentsBody(Schema):
    """Changes of stock, all or none."""

    adjustments = BoundedList(
        fields.Nested(AdjustmentSchema), required=True, min_length=1, max_length=100
    )
    reason = fields.String(
        validate=one_of(*ADJUSTMENT_REASONS),
        metadata={
            "description": "Why, as the ledger tells it. correction: what was recorded was wrong."
            " recount: counted anew. received: new goods. damaged, lost: gone unsold. returned:"
            " goods back without an order. Default `adjusted`: none given.",
            "example": "recount",
        },
    )
    note = Text(max_length=255, metadata={"example": "Stocktake"})

    @validates_schema
    def each_once(self, data: dict[str, Any], **_: Any) -> None:
        """A level may be named once."""
        named = [
            (item["variant_id"], item.get("location_id")) for item in data.get("adjustments", [])
        ]
        if len(set(named)) != len(named):
            raise ValidationError("A variant and location may be named once.", "adjustments")


class AdjustedSchema(Schema):
    """A level before and after."""

    variant_id = Id(required=True)
    location_id = Id(required=True)
    old_quantity = fields.Integer(required=True)
    new_quantity = fields.Integer(required=True)
    reserved_quantity = fields.Integer(required=True)


class AdjustmentsSchema(Schema):
    """What was changed."""

    adjustments = fields.List(fields.Nested(AdjustedSchema), required=True)
