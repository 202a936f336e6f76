"""What the catalogue takes and gives over HTTP."""

from decimal import Decimal
from typing import Any

from marshmallow import Schema, ValidationError, fields

from shop_api.domains.catalog.repository import SEARCHED_ROWS
from shop_api.models import MAX_IMAGES
from shop_api.web.cache_policies import RealTimeQuery
from shop_api.web.fields import (
    TOKEN,
    BoundedList,
    Flag,
    FlagParameter,
    Id,
    Instant,
    Money,
    MoneyParameter,
    Number,
    Tags,
    Text,
    Whole,
    matching,
    one_of,
)
from shop_api.web.pagination import PageInfo, PageQuery

# ASCII without spaces, quotes and angle brackets
_ENCODED = matching(
    r"^https?://[!#-;=?-~]+$",
    "Percent-encode it: a web address has no spaces, quotes, angle brackets or characters beyond"
    " ASCII; a space is %20.",
)
STATUSES = ("draft", "active", "archived")
ADJUSTED = "stock is changed by POST /api/v1/inventory/adjustments"


class OptionSchema(Schema):
    """What tells a variant from its siblings."""

    name = Text(required=True, min_length=1, max_length=100, metadata={"example": "Size"})
    value = Text(required=True, min_length=1, max_length=100, metadata={"example": "M"})


class SeoBody(Schema):
    """How search engines are to see the product."""

    title = Text(max_length=200, allow_none=True)
    description = Text(max_length=500, allow_none=True)
    slug = Text(max_length=200, allow_none=True)


class SeoSchema(Schema):
    """How search engines see the product."""

    title = fields.String(required=True, allow_none=True)
    description = fields.String(required=True, allow_none=True)
    slug = fields.String(required=True, allow_none=True)


class InventoryBody(Schema):
    """First stock, at the default location, and how it is kept."""

    track_quantity = Flag()
    quantity = Whole(minimum=0, metadata={"example": 25})
    low_stock_alert = Whole(minimum=0, allow_none=True)
    allow_backorder = Flag()


class VariantBody(Schema):
    """A variant to create. Without a price, cost or SKU it has the product's."""

    title = Text(required=True, min_length=1, max_length=255, metadata={"example": "M / Blue"})
    sku = Text(min_length=1, max_length=100, allow_none=True)
    price = Money(allow_none=True, metadata={"description": "null, or left out: the product's."})
    cost_price = Money(allow_none=True)
    options = BoundedList(fields.Nested(OptionSchema), max_length=10)
    weight_grams = Whole(minimum=0, allow_none=True, metadata={"example": 350})
    inventory = fields.Nested(InventoryBody)


class WebAddress(Text):
    """Where something is on the web, as it stands in a request line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=8, max_length=2000, validate=_ENCODED, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        # before the length: ftp://x is short, but that is not what is wrong with it
        if isinstance(value, str) and not value.startswith(("http://", "https://")):
            raise ValidationError("Must be a web address: http:// or https://.")
        return super()._deserialize(value, attr, data, **options)


class ImageFacts(Schema):
    """What is said of an image."""

    alt_text = Text(max_length=500, metadata={"example": "Linen shirt, front"})
    width = Whole(minimum=1, maximum=100_000, allow_none=True, metadata={"example": 1200})
    height = Whole(minimum=1, maximum=100_000, allow_none=True, metadata={"example": 900})


class FirstImageBody(ImageFacts):
    """An image of a new product. It stays where it is: only its address is kept."""

    url = WebAddress(required=True, metadata={"example": "https://cdn.example/shirt.jpg"})


class ProductChanges(Schema):
    """What may be changed of a product."""

    name = Text(min_length=1, max_length=255, metadata={"example": "Linen shirt"})
    description = Text(max_length=50_000)
    sku = Text(min_length=1, max_length=100, allow_none=True)
    price = Money(metadata={"example": 49.9})
    compare_price = Money(allow_none=True)
    cost_price = Money(allow_none=True)
    status = fields.String(
        validate=one_of(*STATUSES), metadata={"description": "Of a new product `draft`."}
    )
    tax_class = Text(
        min_length=1,
        max_length=40,
        validate=TOKEN,
        metadata={"description": "Which tax rates apply. Default `standard`."},
    )
    tags = Tags()
    category_ids = BoundedList(
        Id(),
        max_length=50,
        metadata={"description": "All it is in, in the place of those before: `categories`."},
    )
    seo = fields.Nested(
        SeoBody, metadata={"description": "In a PATCH what is left out stays; null takes it away."}
    )
    external_id = Text(min_length=1, max_length=255, allow_none=True)


class ProductReplacement(ProductChanges):
    """A product as it is to be: what is left out is as in a new one."""

    name = Text(required=True, min_length=1, max_length=255, metadata={"example": "Linen shirt"})
    price = Money(required=True, metadata={"example": 49.9})


class ProductBody(ProductChanges):
    """A product to create."""

    name = Text(required=True, min_length=1, max_length=255, metadata={"example": "Linen shirt"})
    price = Money(required=True, metadata={"example": 49.9})
    variants = BoundedList(fields.Nested(VariantBody), max_length=100)
    images = BoundedList(
        fields.Nested(FirstImageBody),
        max_length=MAX_IMAGES,
        metadata={"description": "In their order. Of a variant: add it when the variant is there."},
    )
    inventory = fields.Nested(
        InventoryBody, metadata={"description": "For a product without variants of its own."}
    )


class InventorySchema(Schema):
    """Stock over all locations."""

    track_quantity = fields.Boolean(required=True)
    quantity = fields.Integer(
        required=True,
        metadata={"description": "Changed by `POST /inventory/adjustments`.", "instead": ADJUSTED},
    )
    reserved_quantity = fields.Integer(required=True)
    available_quantity = fields.Integer(required=True)
    low_stock_alert = fields.Integer(required=True, allow_none=True)
    allow_backorder = fields.Boolean(required=True)


INHERITS_PRICE = {
    "description": "Whether `price` is the product's, and changes with it: its own is null.",
    "instead": "`price` null makes it the product's",
}


class VariantSchema(Schema):
    """A variant."""

    id = Id(required=True)
    title = fields.String(required=True)
    sku = fields.String(required=True, allow_none=True)
    price = Money(required=True)
    inherits_price = fields.Boolean(required=True, metadata=INHERITS_PRICE)
    inventory = fields.Nested(InventorySchema, required=True)
    weight_grams = fields.Integer(required=True, allow_none=True)
    options = fields.List(fields.Nested(OptionSchema), required=True)


class CategoryReference(Schema):
    """A category a product is in."""

    id = Id(required=True)
    name = fields.String(required=True)
    slug = fields.String(required=True)


class ImageSchema(Schema):
    """An image a product is shown by."""

    id = Id(required=True)
    url = fields.String(required=True)
    alt_text = fields.String(required=True)
    position = fields.Integer(required=True)
    width = fields.Integer(required=True, allow_none=True)
    height = fields.Integer(required=True, allow_none=True)
    variant_id = Id(required=True, allow_none=True)


class ProductSchema(Schema):
    """A product."""

    id = Id(required=True)
    tenant_id = Id(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    sku = fields.String(required=True, allow_none=True)
    price = Money(required=True)
    compare_price = Money(required=True, allow_none=True)
    cost_price = Money(required=True, allow_none=True)
    currency = fields.String(required=True)
    status = fields.String(required=True, validate=one_of(*STATUSES))
    tax_class = fields.String(required=True)
    inventory = fields.Nested(
        InventorySchema,
        required=True,
        metadata={"instead": f"{ADJUSTED}, how it is kept by PATCH of a variant"},
    )
    variants = fields.List(
        fields.Nested(VariantSchema),
        required=True,
        metadata={"instead": "variants are changed at /api/v1/products/{id}/variants"},
    )
    images = fields.List(
        fields.Nested(ImageSchema),
        required=True,
        metadata={"instead": "images are changed at /api/v1/products/{id}/images"},
    )
    categories = fields.List(
        fields.Nested(CategoryReference),
        required=True,
        metadata={
            "description": "Written as `category_ids`.",
            "instead": "send `category_ids`",
        },
    )
    tags = fields.List(fields.String(), required=True)
    seo = fields.Nested(SeoSchema, required=True)
    external_id = fields.String(required=True, allow_none=True)
    is_in_stock = fields.Boolean(required=True)
    total_sales = Money(
        required=True,
        allow_none=True,
        metadata={
            "description": "Net sales of all time in the product's currency: before tax and"
            " shipping, less discounts and returns, without cancelled orders."
        },
    )
    conversion_rate = Number(
        required=True,
        allow_none=True,
        maximum=Decimal(1),
        digits=6,
        metadata={"description": "Orders by views; null while nothing is tracked."},
    )
    profit_margin = Number(
        required=True,
        allow_none=True,
        minimum=-(Decimal(10) ** 18),
        maximum=Decimal(10) ** 18,
        digits=6,
        metadata={
            "description": "(Net sales − cost) ÷ net sales, of sales whose cost is known; null when"
            " there are none. What came back from a buyer is neither sale nor cost."
        },
    )
    stats_as_of = Instant(
        required=True,
        allow_none=True,
        metadata={
            "description": "Sales up to this instant are in total_sales and profit_margin. It moves"
            " when the shop has sold something; null before the first export."
        },
    )
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class ProductPage(Schema):
    """A page of products."""

    data = fields.List(fields.Nested(ProductSchema), required=True)
    page_info = fields.Nested(PageInfo, required=True)
    total = fields.Integer()


class ProductQuery(PageQuery, RealTimeQuery):
    """Which products, in which order."""

    sort = fields.String(
        validate=one_of("created_at", "updated_at", "price", "name", "total_sales", "inventory"),
        metadata={
            "description": "total_sales is as of `stats_as_of`, inventory as of some seconds ago."
        },
    )
    status = fields.List(
        fields.String(validate=one_of(*STATUSES)), metadata={"description": "Repeatable."}
    )
    category = Text(
        min_length=1,
        max_length=255,
        metadata={
            "description": "A category's id or slug; its descendants count. Where there is none"
            " by that name, no product is in it."
        },
    )
    min_price = MoneyParameter()
    max_price = MoneyParameter()
    in_stock = FlagParameter()
    has_variants = FlagParameter(metadata={"description": "Whether it has more than one."})
    tags = fields.List(
        Text(min_length=1, max_length=64), metadata={"description": "All of them; repeatable."}
    )
    created_after = Instant()
    created_before = Instant()
    updated_after = Instant(
        metadata={"description": "What changed since; with `sort=updated_at`, in that order."}
    )
    updated_before = Instant()
    search = Text(
        min_length=1,
        max_length=100,
        takes_blanks=True,
        metadata={
            "description": "By the beginnings of words of name, SKU, tags and description, or by a"
            f" variant's whole SKU; of more than {SEARCHED_ROWS} found, those that fit best.",
            "example": "fig mu",
        },
    )
    external_id = Text(
        min_length=1,
        max_length=255,
        metadata={"description": "The one product that has it."},
    )
    sku = Text(
        min_length=1,
        max_length=100,
        metadata={
            "description": "Products that have this SKU, or a variant of which does; exactly as"
            " it is written.",
            "example": "FIG-1",
        },
    )
