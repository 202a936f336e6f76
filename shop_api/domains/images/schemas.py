"""What images take and give over HTTP."""

from marshmallow import Schema, fields

from shop_api.domains.catalog.schemas import FirstImageBody, ImageFacts, WebAddress
from shop_api.web.fields import Id, Instant, Whole
from shop_api.web.pagination import PageInfo, PageQuery


class ImageChanges(ImageFacts):
    """What to change of an image."""

    url = WebAddress(metadata={"example": "https://cdn.example/shirt.jpg"})
    position = Whole(
        minimum=0,
        maximum=1000,
        metadata={"description": "From 0; others move. Beyond the last: at the end."},
    )
    variant_id = Id(
        allow_none=True, metadata={"description": "The variant it shows. null: the product."}
    )


class ImageBody(FirstImageBody, ImageChanges):
    """An image to add. It stays where it is: only its address is kept."""


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
