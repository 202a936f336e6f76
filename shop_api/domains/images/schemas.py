"""What images take and give over HTTP."""

from marshmallow import Schema, fields

from shop_api.domains.catalog.schemas import WEB_ADDRESS
from shop_api.web.fields import Id, Instant, Text, Whole
from shop_api.web.pagination import PageInfo, PageQuery


class ImageChanges(Schema):
    """What to change of an image."""

    url = Text(
        min_length=8,
        max_length=2000,
        validate=WEB_ADDRESS,
        metadata={"example": "https://cdn.example/shirt.jpg"},
    )
    alt_text = Text(max_length=500, metadata={"example": "Linen shirt, front"})
    position = Whole(
        minimum=0,
        maximum=1000,
        metadata={"description": "From 0; others move. Beyond the last: at the end."},
    )
    width = Whole(minimum=1, maximum=100_000, allow_none=True, metadata={"example": 1200})
    height = Whole(minimum=1, maximum=100_000, allow_none=True, metadata={"example": 900})
    variant_id = Id(
        allow_none=True, metadata={"description": "The variant it shows. null: the product."}
    )


class ImageBody(ImageChanges):
    """An image to add. It stays where it is: only its address is kept."""

    url = Text(
        required=True,
        min_length=8,
        max_length=2000,
        validate=WEB_ADDRESS,
        metadata={"example": "https://cdn.example/shirt.jpg"},
    )


class ProductImageSchema(Schema):
    """An image of a product."""

    id = Id(required=True)
    product_id = Id(required=True)
    variant_id = Id(required=True, allow_none=True)
    url = fields.String(required=True)
    alt_text = fields.String(required=True)
    position = fields.Integer(required=True)
    width = fields.Integer(required=True, allow_none=True)
    height = fields.Integer(required=True, allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class ImagePage(Schema):
    """A page of images."""

    data = fields.List(fields.Nested(ProductImageSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class ImageQuery(PageQuery):
    """Which of a product's images."""
