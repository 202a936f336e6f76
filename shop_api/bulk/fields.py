"""What an import can fill: the entities, their fields, types and bounds.

Belongs here: the table a mapping is checked against. Does not: where values come from (mapping.py)
and how they reach the tables (staging.py, assembly.py).
"""

from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import Literal

FieldType = Literal[
    "text",
    "list",
    "money",
    "integer",
    # a number that is rounded to a whole one
    "measure",
    "boolean",
    "timestamp",
    "choice",
    "currency",
    # units of the tenant's currency for one of the row's
    "rate",
    "country",
    "email",
    "url",
    "urls",
]

# numeric(18,4) holds 14 digits before the point; two are kept free so that sums of lines still fit.
MONEY_DIGITS = 12
MONEY_DECIMALS = 4
# numeric(18,10)
RATE_DIGITS = 8
RATE_DECIMALS = 10
INTEGER_LIMIT = 2_000_000_000
LIST_LENGTH_LIMIT = 250
KEY_LENGTH = 255


@dataclass(frozen=True)
class Field:
    """One field of an entity. `default` stands in for a field that is not mapped or is empty."""

    type: FieldType
    is_required: bool = False
    default: str | None = None
    length_limit: int = KEY_LENGTH
    choices: tuple[str, ...] = ()
    minimum: int = 0


@dataclass(frozen=True)
class Spread:
    """A list that makes several rows of one; it stands for the fields that it fills."""

    field: str
    stands_for: tuple[str, ...]


@dataclass(frozen=True)
class Entity:
    """One kind of row. `key` is the field that tells rows apart; None: no one field does."""

    fields: dict[str, Field]
    key: str | None = "external_id"
    # an order is refused as a whole when a row of one of its parts is
    is_part_of_order: bool = False
    spread: Spread | None = None


_KEY = Field("text", is_required=True)
_TEXT = Field("text")
_LONG_TEXT = Field("text", length_limit=100_000)
_TAGS = Field("list", length_limit=10_000)
_MONEY = Field("money")
_REQUIRED_MONEY = Field("money", is_required=True)
_NO_MONEY = Field("money", default="0")
_INTEGER = Field("integer")
_TIMESTAMP = Field("timestamp")
ADDRESS_PARTS = ("line1", "line2", "city", "region", "postal_code", "country")
SEO_PARTS = ("title", "description", "slug")
_ADDRESS = {f"address_{part}": _TEXT for part in ADDRESS_PARTS} | {
    "address_country": Field("country")
}

CATEGORIES = Entity(
    {
        "external_id": _KEY,
        "name": _KEY,
        "parent": _TEXT,
        "position": Field("integer", default="0"),
        "is_active": Field("boolean", default="true"),
        # from the root to the category itself: each on the way is one
        "paths": Field("list", length_limit=10_000),
    },
    spread=Spread("paths", ("external_id", "name", "parent")),
)
PRODUCTS = Entity(
    {
        "external_id": _KEY,
        "name": Field("text", is_required=True, length_limit=500),
        "description": _LONG_TEXT,
        "sku": _TEXT,
        "price": _REQUIRED_MONEY,
        "compare_price": _MONEY,
        "cost_price": _MONEY,
        # empty: the tenant's
        "currency": Field("currency"),
        "status": Field("choice", default="active", choices=("draft", "active", "archived")),
        "category": _TEXT,
        "categories": Field("list", length_limit=10_000),
        "tags": _TAGS,
        "seo_title": Field("text", length_limit=200),
        "seo_description": Field("text", length_limit=500),
        "seo_slug": Field("text", length_limit=200),
        "track_quantity": Field("boolean", default="true"),
        "created_at": _TIMESTAMP,
    }
)
VARIANTS = Entity(
    {
        "external_id": _KEY,
        "product": _KEY,
        "title": _KEY,
        "sku": _TEXT,
        "price": _MONEY,
        "cost_price": _MONEY,
        "position": Field("integer", default="0"),
        "option1_name": _TEXT,
        "option1_value": _TEXT,
        "option2_name": _TEXT,
        "option2_value": _TEXT,
        "option3_name": _TEXT,
        "option3_value": _TEXT,
        "track_quantity": Field("boolean", default="true"),
        "allow_backorder": Field("boolean", default="false"),
        "low_stock_alert": _INTEGER,
        "weight_grams": Field("measure"),
    }
)
STOCK = Entity(
    {
        "variant": _KEY,
        # the code of a location; empty: the default location
        "location": _TEXT,
        "quantity": Field("integer", is_required=True),
    },
    key=None,
)
IMAGES = Entity(
    {
        "product": _KEY,
        "url": Field("url", is_required=True, length_limit=2000),
        "urls": Field("urls", length_limit=100_000),
        "alt_text": Field("text", length_limit=500),
        # empty: after those that have one
        "position": _INTEGER,
    },
    key=None,
    spread=Spread("urls", ("url",)),
)
CUSTOMERS = Entity(
    {
        "external_id": _KEY,
        "email": Field("email", length_limit=254),
        "first_name": _TEXT,
        "last_name": _TEXT,
        "phone": Field("text", length_limit=50),
        **_ADDRESS,
        "tags": _TAGS,
        "created_at": _TIMESTAMP,
    }
)
ORDERS = Entity(
    {
        "external_id": _KEY,
        "customer": _TEXT,
        "status": Field(
            "choice",
            is_required=True,
            choices=("pending", "processing", "completed", "cancelled"),
        ),
        "fulfillment_status": Field(
            "choice",
            default="unfulfilled",
            choices=("unfulfilled", "partial", "fulfilled", "returned"),
        ),
        "channel": Field("text", default="web", length_limit=50),
        # empty: the tenant's
        "currency": Field("currency"),
        # empty: the one that was effective when it was placed
        "exchange_rate": Field("rate"),
        # of the order itself; those of its lines are added
        "discount_total": _NO_MONEY,
        "shipping_total": _NO_MONEY,
        "tax_total": _NO_MONEY,
        # what the order must come to; empty: not checked
        "total": _MONEY,
        "placed_at": Field("timestamp", is_required=True),
        "completed_at": _TIMESTAMP,
        "cancelled_at": _TIMESTAMP,
        "note": _LONG_TEXT,
        **_ADDRESS,
    }
)
ORDER_LINES = Entity(
    {
        "order": _KEY,
        "external_id": _TEXT,
        "position": _INTEGER,
        "product": _TEXT,
        "variant": _TEXT,
        # empty: the product's name
        "title": Field("text", length_limit=500),
        "sku": _TEXT,
        "quantity": Field("integer", is_required=True, default="1", minimum=1),
        "unit_price": _REQUIRED_MONEY,
        "unit_cost": _MONEY,
        "discount_total": _NO_MONEY,
        "tax_total": _NO_MONEY,
        # joins the order's shipping; a line keeps none
        "shipping_total": _NO_MONEY,
    },
    key=None,
    is_part_of_order=True,
)
PAYMENTS = Entity(
    {
        "order": _KEY,
        "external_id": _KEY,
        "provider": Field("text", default="import", length_limit=50),
        "method": Field("text", is_required=True, length_limit=50),
        "status": Field("choice", default="captured", choices=("authorized", "captured", "failed")),
        "amount": _REQUIRED_MONEY,
        "reference": _TEXT,
        # empty: when the order was placed
        "created_at": _TIMESTAMP,
    },
    is_part_of_order=True,
)
REFUNDS = Entity(
    {
        "order": _KEY,
        "external_id": _KEY,
        # the external_id of the line it is for; empty: the order as a whole
        "line": _TEXT,
        "quantity": Field("integer", default="0"),
        "amount": _REQUIRED_MONEY,
        "shipping_amount": _NO_MONEY,
        "tax_amount": _NO_MONEY,
        "reason": Field("text", length_limit=1000),
        "created_at": Field("timestamp", is_required=True),
    },
    is_part_of_order=True,
)

# In the order they are read and written: what is referred to comes first.
ENTITIES: dict[str, Entity] = {
    "categories": CATEGORIES,
    "products": PRODUCTS,
    "variants": VARIANTS,
    "stock": STOCK,
    "images": IMAGES,
    "customers": CUSTOMERS,
    "orders": ORDERS,
    "order_lines": ORDER_LINES,
    "payments": PAYMENTS,
    "refunds": REFUNDS,
}
PARTS_OF_ORDER = tuple(name for name, entity in ENTITIES.items() if entity.is_part_of_order)
# the others are written with the product or order they belong to
WRITTEN_ALONE = ("categories", "products", "customers", "orders")
# for each entity the fields that a mapping fills
Mapped = MappingType[str, frozenset[str]]
# What is refused whole when a row of it is, by the row's entity: whose it is, and what names it.
# Of products only the refused rows are known, so that what belongs to them can name the cause.
WHOLES = {
    "products": ("product_rows", "external_id"),
    "variants": ("products", "product"),
    "orders": ("orders", "external_id"),
    **dict.fromkeys(PARTS_OF_ORDER, ("orders", "order")),
}
