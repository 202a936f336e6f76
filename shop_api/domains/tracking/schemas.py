"""What storefront events look like over HTTP."""

from marshmallow import Schema, fields

from shop_api.web.fields import BoundedList, Id, Instant, Text, matching, one_of

KINDS = ("session", "page_view", "product_view", "add_to_cart", "checkout_started", "purchase")
DEVICES = ("desktop", "mobile", "tablet", "other")
MAX_EVENTS = 500

# no @ and no dot: an e-mail address is no opaque id
OPAQUE = matching(
    r"^[A-Za-z0-9_-]{1,64}$",
    "Must be 1 to 64 letters, digits, _ and -: an opaque id, nothing about a person.",
)
PATH = matching(
    r"^/[^?#\x00-\x20\x7f]*$",
    "Must be the path of a URL, beginning with / and without query, fragment and spaces.",
)
HOST = matching(
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
    "Must be the name of a host in lower case, such as www.example.com, and nothing else of a URL.",
)


def _opaque(description: str, example: str) -> Text:
    metadata = {"description": description, "example": example}
    return Text(min_length=1, max_length=64, required=True, validate=OPAQUE, metadata=metadata)


def _utm(example: str) -> Text:
    return Text(
        min_length=1,
        max_length=100,
        metadata={"description": "As the landing page's URL has it.", "example": example},
    )


class StorefrontEventSchema(Schema):
    """Something a visitor did."""

    id = Id(
        required=True,
        metadata={"description": "A UUID you make: the same event sent again counts once."},
    )
    kind = fields.String(required=True, validate=one_of(*KINDS), metadata={"example": "page_view"})
    occurred_at = Instant(
        required=True,
        metadata={"description": "At most 48 hours ago; up to a minute ahead is borne."},
    )
    visitor_id = _opaque("Your name for a browser. Opaque: no e-mail address, no name.", "v_8f14e4")
    session_id = _opaque("One visit of the visitor.", "s_5fceea")
    path = Text(
        min_length=1,
        max_length=512,
        validate=PATH,
        metadata={
            "description": "Of the page's URL, without its query. A page view needs it.",
            "example": "/products/fig-mug",
        },
    )
    referrer_host = Text(
        min_length=1,
        max_length=253,
        validate=HOST,
        metadata={"description": "The host the visitor came from.", "example": "www.example.com"},
    )
    utm_source = _utm("newsletter")
    utm_medium = _utm("email")
    utm_campaign = _utm("spring")
    device = fields.String(validate=one_of(*DEVICES), metadata={"example": "mobile"})
    product_id = Id(metadata={"description": "A product view and an addition to a cart need it."})
    variant_id = Id()
    order_id = Id(metadata={"description": "A purchase needs it."})
    user_agent = Text(
        max_length=512,
        metadata={
            "description": "The visitor's, when your server sends their events: known crawlers are"
            " marked as bots. It is not kept. With a publishable key the request's own header is"
            " looked at.",
            "example": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        },
    )


class TrackBody(Schema):
    """Events of any visitors."""

    events = BoundedList(
        fields.Nested(StorefrontEventSchema), required=True, min_length=1, max_length=MAX_EVENTS
    )


class RefusedSchema(Schema):
    """Events that were not taken in, by reason."""

    too_old = fields.Integer(
        required=True, metadata={"description": "Over 48 hours ago.", "example": 0}
    )
    in_future = fields.Integer(
        required=True, metadata={"description": "Over a minute ahead.", "example": 0}
    )


class TakenSchema(Schema):
    """What became of the events."""

    accepted = fields.Integer(
        required=True,
        metadata={
            "description": "Taken in; those sent before are among them, and count once.",
            "example": 1,
        },
    )
    refused = fields.Nested(RefusedSchema, required=True)
