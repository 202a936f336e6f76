"""What search takes and gives over HTTP."""

from marshmallow import Schema, fields, validate

from shop_api.web.cache_policies import RealTimeQuery
from shop_api.web.fields import Id, Instant, Money, Text, WholeParameter, one_of

KINDS = ("products", "customers", "orders")
HIGHLIGHT = {
    "description": "The fields in which something was found, as HTML: what was found stands in"
    " `<mark>`, all else is escaped.",
    "example": {"name": "<mark>Fig</mark> Mug"},
}


class SearchQuery(RealTimeQuery):
    """What to look for."""

    q = Text(
        required=True,
        min_length=1,
        max_length=100,
        takes_blanks=True,
        metadata={
            "description": "Words, or their beginnings; accents and case do not count.",
            "example": "fig mu",
        },
    )
    type = fields.List(
        fields.String(validate=one_of(*KINDS)),
        validate=validate.Length(max=len(KINDS)),
        metadata={"description": "Repeatable. Default: all that the credential may read."},
    )
    limit = WholeParameter(
        1, 50, metadata={"description": "At most so many of each. Default 10.", "example": 10}
    )


class HitSchema(Schema):
    """Something that was found."""

    id = Id(required=True)
    score = fields.Float(required=True, metadata={"description": "The best first."})
    highlight = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True, metadata=HIGHLIGHT
    )


class ProductHitSchema(HitSchema):
    """A product that was found."""

    name = fields.String(required=True)
    sku = fields.String(required=True, allow_none=True)
    status = fields.String(required=True)
    price = Money(required=True)
    currency = fields.String(required=True)


class CustomerHitSchema(HitSchema):
    """A customer who was found."""

    first_name = fields.String(required=True)
    last_name = fields.String(required=True)
    email = fields.String(required=True, allow_none=True)


class OrderHitSchema(HitSchema):
    """An order that was found."""

    number = fields.Integer(required=True)
    status = fields.String(required=True)
    total = Money(required=True)
    currency = fields.String(required=True)
    customer_id = Id(required=True, allow_none=True)
    external_id = fields.String(required=True, allow_none=True)
    placed_at = Instant(required=True)


class SearchAnswerSchema(Schema):
    """What was found, of each kind that was looked for."""

    products = fields.List(fields.Nested(ProductHitSchema))
    customers = fields.List(fields.Nested(CustomerHitSchema))
    orders = fields.List(fields.Nested(OrderHitSchema))
