"""What tenants take and give over HTTP."""

from typing import Any

from marshmallow import Schema, fields

from shop_api.kernel.rate_limits import PLANS
from shop_api.web.fields import (
    BoundedList,
    Country,
    Currency,
    Email,
    Flag,
    Id,
    Instant,
    Text,
    Timezone,
    Whole,
    matching,
    one_of,
)
from shop_api.web.pagination import SmallListPage, SmallListQuery

# Far beyond what one server answers: no limit at all.
MAX_LIMIT = 1_000_000_000

# A browser sends an origin in lower case and without the port its scheme implies: one written
# otherwise would allow nobody.
_LABEL = "[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?"
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
ORIGIN = matching(
    rf"^(?!http://[^/]*:80$)(?!https://[^/]*:443$)https?://"
    rf"({_LABEL}(\.{_LABEL})*|\[[0-9a-f:]{{2,39}}\])(:{_PORT})?$",
    "Must be an origin as browsers send it: scheme, host in lower case and port unless it is the"
    " scheme's own, without a path, such as https://shop.example.",
)


class Slug(Text):
    """The name a tenant signs in with."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            min_length=1,
            max_length=63,
            validate=matching(
                r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
                "Must be lower-case letters, digits and -, and begin and end with a letter or"
                " digit.",
            ),
            metadata={"example": "acme-toys"},
            **options,
        )


class OwnerBody(Schema):
    """The first user of a tenant."""

    email = Email(required=True, metadata={"example": "owner@example.com"})
    name = Text(required=True, min_length=1, max_length=100, metadata={"example": "Ada Owner"})
    password = Text(
        required=True, min_length=12, max_length=256, metadata={"example": "correct-horse-battery"}
    )


def _limit(example: int, description: str) -> Whole:
    """A limit of a tenant's own; null: as its plan has it."""
    return Whole(
        minimum=1,
        maximum=MAX_LIMIT,
        allow_none=True,
        metadata={"description": description, "example": example},
    )


class RateLimits(Schema):
    """Limits that the platform grants a tenant beside its plan; null: as the plan has it."""

    requests = _limit(100_000, "Requests a minute.")
    burst = _limit(10_000, "Requests within a second.")
    analytics = _limit(50_000, "Requests to `/analytics` a minute.")
    graphql = _limit(6_000, "GraphQL requests a minute; kept for `POST /graphql`, not served yet.")
    mutations = _limit(3_000, "Mutations a minute.")
    subscriptions = _limit(1_000, "Open WebSockets and event streams.")


class TenantBody(Schema):
    """A tenant to create."""

    name = Text(required=True, min_length=1, max_length=100, metadata={"example": "Acme Toys"})
    slug = Slug(required=True)
    plan = fields.String(load_default="free", validate=one_of(*PLANS))
    currency = Currency(required=True)
    timezone = Timezone(required=True)
    rate_limits = fields.Nested(RateLimits)
    owner = fields.Nested(OwnerBody, required=True)


class TenantSettings(Schema):
    """How the shop is run; null: as the server does by default."""

    order_hold_minutes = Whole(
        minimum=1,
        maximum=43_200,
        allow_none=True,
        metadata={
            "description": "How long an order that nobody pays holds its stock before it is"
            " cancelled; for orders placed, or left without money, from now on.",
            "example": 60,
        },
    )
    low_stock_alert = Whole(
        minimum=0,
        allow_none=True,
        metadata={
            "description": "The `low_stock_alert` of new variants that are made without one.",
            "example": 5,
        },
    )
    report_hour = Whole(
        minimum=0,
        maximum=23,
        allow_none=True,
        metadata={
            "description": "The hour, in the tenant's timezone, of the daily sales report.",
            "example": 6,
        },
    )
    country = Country(
        allow_none=True,
        metadata={
            "description": "Where the shop sells in person: an order at a session is taxed there,"
            " unless it has a shipping address. null: it has no tax.",
        },
    )
    region = Text(
        allow_none=True,
        min_length=1,
        max_length=100,
        metadata={"description": "The region of `country`, as in the tax rates.", "example": "TO"},
    )


class TenantPatch(Schema):
    """What may change of a tenant."""

    name = Text(min_length=1, max_length=100)
    slug = Slug()
    currency = Currency()
    timezone = Timezone(metadata={"example": "America/Sao_Paulo"})
    prices_include_tax = Flag(
        metadata={
            "description": "Whether prices hold their tax already; for orders placed from now on."
        }
    )
    cors_origins = BoundedList(
        Text(max_length=255, validate=ORIGIN, metadata={"example": "https://shop.example"}),
        max_length=20,
    )
    settings = fields.Nested(TenantSettings)


class PlanPatch(Schema):
    """What the platform may change of a tenant."""

    plan = fields.String(validate=one_of(*PLANS))
    rate_limits = fields.Nested(RateLimits)


class TenantSchema(Schema):
    """A tenant."""

    id = Id(required=True)
    name = fields.String(required=True)
    slug = fields.String(required=True)
    plan = fields.String(required=True, validate=one_of(*PLANS))
    currency = fields.String(required=True)
    timezone = fields.String(required=True)
    prices_include_tax = fields.Boolean(required=True)
    cors_origins = fields.List(fields.String(), required=True)
    settings = fields.Nested(TenantSettings, required=True)
    rate_limits = fields.Nested(RateLimits, required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class TenantPage(SmallListPage):
    """A page of tenants."""

    data = fields.List(fields.Nested(TenantSchema), required=True)


class TenantQuery(SmallListQuery):
    """Which tenants."""

    plan = fields.String(validate=one_of(*PLANS))
    slug = Slug()
