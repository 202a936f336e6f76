"""What edits of many products take and give over HTTP."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from shop_api.domains.catalog.schemas import ProductChanges
from shop_api.web.documentation import FieldErrorSchema
from shop_api.web.fields import BoundedList, FlagParameter, Id, Text

MAX_PRODUCTS = 1000
EXAMPLE_ID = "019b0000-0000-7000-8000-000000000001"


class BulkQuery(Schema):
    """How items that cannot be done bear on the others."""

    atomic = FlagParameter(
        metadata={
            "description": "`true`: all products or none. `false`, the default: those that can be."
        }
    )


class ProductEdit(ProductChanges):
    """A product and what to change of it."""

    id = Id(required=True, metadata={"example": EXAMPLE_ID})
    if_match = Text(
        min_length=1,
        max_length=200,
        metadata={
            "description": "The ETag last seen: 412 when the product has moved on.",
            "example": '"3-c2b6f1a09d7e4f5a81"',
        },
    )


class BulkUpdateBody(Schema):
    """Products with their changes."""

    products = BoundedList(
        fields.Nested(ProductEdit), required=True, min_length=1, max_length=MAX_PRODUCTS
    )

    @validates_schema
    def each_once(self, data: dict[str, Any], **_: Any) -> None:
        """Two changes of one product would have no order."""
        _require_distinct([item["id"] for item in data["products"]], "products")


class BulkDeleteBody(Schema):
    """Products to delete."""

    ids = BoundedList(
        Id(),
        required=True,
        min_length=1,
        max_length=MAX_PRODUCTS,
        metadata={"example": [EXAMPLE_ID]},
    )

    @validates_schema
    def each_once(self, data: dict[str, Any], **_: Any) -> None:
        """A product is deleted once."""
        _require_distinct(data["ids"], "ids")


def _require_distinct(ids: list[Any], name: str) -> None:
    if len(set(ids)) != len(ids):
        raise ValidationError("A product may be named once.", name)


class ItemProblem(Schema):
    """Why a product was left as it is."""

    code = fields.String(
        required=True,
        metadata={"description": "Stable; decide on this.", "example": "sku_taken"},
    )
    detail = fields.String(
        required=True, metadata={"example": "A product with this SKU exists already."}
    )
    errors = fields.List(
        fields.Nested(FieldErrorSchema),
        required=True,
        metadata={"description": "Pointers are into the item."},
    )


class ItemResult(Schema):
    """What became of one product."""

    id = Id(required=True)
    status = fields.Integer(
        required=True, metadata={"description": "As the same call for it alone would answer."}
    )
    etag = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "Of the product as it is now; null when deleted or refused.",
            "example": '"4-9f1d3c5b7a2e4d6c80"',
        },
    )
    problem = fields.Nested(ItemProblem, required=True, allow_none=True)


class BulkResult(Schema):
    """What became of each product, in the order they were sent."""

    succeeded = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    results = fields.List(fields.Nested(ItemResult), required=True)
