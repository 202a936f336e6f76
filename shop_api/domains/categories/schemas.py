"""What the category tree takes and gives over HTTP."""

from marshmallow import Schema, fields

from shop_api.web.fields import SLUG, Flag, FlagParameter, Id, Instant, Text, Whole, one_of
from shop_api.web.pagination import SmallListPage, SmallListQuery


class CategoryChanges(Schema):
    """What may be changed of a category."""

    name = Text(min_length=1, max_length=255, metadata={"example": "Shirts"})
    slug = Text(
        min_length=1,
        max_length=255,
        validate=SLUG,
        metadata={"example": "shirts"},
    )
    parent_id = Id(
        allow_none=True,
        metadata={"description": "The category it lies in; null at the root. Ten levels at most."},
    )
    position = Whole(metadata={"description": "Its place among its siblings, `sort=position`."})
    is_active = Flag(metadata={"description": "Whether publishable keys see it. Default true."})
    external_id = Text(min_length=1, max_length=255, allow_none=True)


class CategoryReplacement(CategoryChanges):
    """A category as it is to be: what is left out is as in a new one."""

    name = Text(required=True, min_length=1, max_length=255, metadata={"example": "Shirts"})
    slug = Text(
        required=True,
        min_length=1,
        max_length=255,
        validate=SLUG,
        metadata={"example": "shirts"},
    )


class CategoryBody(CategoryReplacement):
    """A category to create."""


class CategorySchema(Schema):
    """A category."""

    id = Id(required=True)
    parent_id = Id(required=True, allow_none=True)
    name = fields.String(required=True)
    slug = fields.String(required=True)
    position = fields.Integer(required=True)
    is_active = fields.Boolean(required=True)
    product_count = fields.Integer(
        required=True,
        metadata={
            "description": "Products filed in the category itself, not in those below it: those are"
            " what `GET /products?category=` adds."
        },
    )
    external_id = fields.String(required=True, allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class CategoryPage(SmallListPage):
    """A page of categories."""

    data = fields.List(fields.Nested(CategorySchema), required=True)


class CategoryQuery(SmallListQuery):
    """Which categories, in which order."""

    sort = fields.String(validate=one_of("created_at", "name", "position"))
    parent_id = Id(metadata={"description": "Only direct children of this category."})
    is_root = FlagParameter(metadata={"description": "Whether it lies in no other."})
    is_active = FlagParameter()
    slug = Text(min_length=1, max_length=255)
