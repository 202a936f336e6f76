"""Every event that is pushed to listeners: its name, the scope it needs and what its data says.

Belongs here: the definitions, which the hub, the AsyncAPI document and clients' types are made
from. Does not: appending events (services), the envelope and the rest of what travels
(realtime/messages.py). Other events (batches of an import, …) are part of a tenant's sequence but
never leave the spine.

Fields may be added to an event's data; none is renamed, and none changes its meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

# An amount is a JSON number with exactly its currency's digits: 19.90, in JPY 1990.
Currency = Annotated[str, Meta(description="ISO 4217 code of the amounts beside it.")]
OrderId = Annotated[UUID, Meta(description="The order.")]
ProductId = Annotated[UUID, Meta(description="The product.")]
OrderStatus = Literal["pending", "processing", "completed", "cancelled"]
PaymentStatus = Annotated[
    Literal["unpaid", "authorized", "partially_paid", "paid", "partially_refunded", "refunded"],
    Meta(description="What the order's payments and refunds come to now."),
]
FulfillmentStatus = Literal["unfulfilled", "partial", "fulfilled", "returned"]


class OrderCreated(Struct):
    """An order was placed."""

    order_id: OrderId
    number: Annotated[int, Meta(description="The order's number in its shop, from 1 on.", ge=1)]
    total_amount: Annotated[float, Meta(description="What is to be paid, in `currency`.", ge=0)]
    currency: Currency
    status: Annotated[OrderStatus, Meta(description="`pending` until it is paid for.")]
    customer_id: Annotated[UUID | None, Meta(description="The customer, null without one.")]
    customer_email: Annotated[
        str | UnsetType | None,
        Meta(
            description="The customer's address as it is when the event is read, null without one."
            " Left out for who lacks the scope `customers:read`."
        ),
    ] = UNSET


class OrderStatusChanged(Struct):
    """An order's status moved on."""

    order_id: OrderId
    old_status: OrderStatus
    new_status: OrderStatus
    timestamp: Annotated[datetime, Meta(description="When it did, in UTC.")]


class OrderRefunded(Struct):
    """Money of an order was given back."""

    order_id: OrderId
    refund_id: Annotated[UUID, Meta(description="The refund.")]
    amount: Annotated[float, Meta(description="What was given back, in `currency`.", ge=0)]
    currency: Currency
    payment_status: PaymentStatus
    fulfillment_status: Annotated[
        FulfillmentStatus | UnsetType,
        Meta(description="Only where the refund moved it: it took back units that had not left."),
    ] = UNSET


class ProductCreated(Struct):
    """A product was added."""

    product_id: ProductId


class ProductUpdated(Struct):
    """A product was changed, or one of its variants or images."""

    product_id: ProductId
    changes: Annotated[
        list[str],
        Meta(description="Names of the fields that were set; `variants` and `images` for those."),
    ]
    updated_fields: Annotated[
        dict[str, Any],
        Meta(
            description="The new values of plain fields by name, amounts in the product's currency."
            " What is not in it (categories, variants, images) is read anew."
        ),
    ]


class ProductDeleted(Struct):
    """A product was deleted."""

    product_id: ProductId


class InventoryUpdated(Struct):
    """What can be sold of a variant changed at a location: stock moved, was held or set free."""

    product_id: ProductId
    variant_id: Annotated[UUID, Meta(description="The variant.")]
    location_id: Annotated[UUID, Meta(description="Where it did: quantities are those there.")]
    old_quantity: Annotated[int, Meta(description="Units that could be sold before.")]
    new_quantity: Annotated[
        int, Meta(description="Units that can be sold now; below zero where more is backordered.")
    ]
    threshold_alert: Annotated[
        bool, Meta(description="It fell to the variant's `low_stock_alert` or below just now.")
    ]


class Period(Struct):
    """Days of the shop's time zone, half-open."""

    from_: Annotated[date, Meta(description="The first day.")] = field(name="from")
    to: Annotated[date, Meta(description="The day after the last.")]


class LiveMetrics(Struct):
    """A shop's figures of its present day."""

    total_revenue: Annotated[
        float | None, Meta(description="Total sales (net sales, taxes and shipping), in currency.")
    ]
    orders_today: Annotated[int | None, Meta(description="Orders placed.")]
    units_today: Annotated[int | None, Meta(description="Units sold.")]
    average_order_value: Annotated[
        float | None, Meta(description="Of an order, in currency; null without one.")
    ]
    visitors_online: Annotated[
        int | None, Meta(description="Visitors of the last 5 minutes; null when it is not known.")
    ]


class DashboardMetricsUpdated(Struct):
    """The figures of today are new."""

    metrics: LiveMetrics
    as_of: Annotated[
        datetime,
        Meta(
            description="What was committed before is in the figures. Show those of the latest: a"
            " snapshot's may be older than what was told before."
        ),
    ]
    snapshot: Annotated[
        str | None,
        Meta(
            description="The lake's snapshot that they are of; null for those that are told between"
            " two, in a message without `id`, which is not told again."
        ),
    ]
    currency: Currency
    timezone: Annotated[str, Meta(description="IANA name of the zone that the day is of.")]
    period: Period


class ReportReady(Struct):
    """A report was made and can be downloaded."""

    report_id: Annotated[UUID, Meta(description="The report.")]
    kind: Annotated[str, Meta(description="What it reports, such as `daily_sales`.")]
    title: str
    period: Period
    formats: Annotated[list[str], Meta(description="In which formats it can be downloaded.")]


class ImportFinished(Struct):
    """An import came to its end, well or not."""

    job_id: Annotated[UUID, Meta(description="The job: `GET /api/v1/jobs/{id}` has its errors.")]
    state: Literal["succeeded", "failed", "cancelled"]
    counts: Annotated[
        dict[str, dict[str, int | None]],
        Meta(
            description="By entity (`products`, `orders`, …) how many rows were read, created,"
            " updated, left unchanged and rejected; null where they are written with another's."
        ),
    ]


class SystemNotification(Struct):
    """The platform tells the shop something, or that what it told of is over."""

    notification_id: Annotated[UUID, Meta(description="The notification as it is listed.")]
    kind: Annotated[str, Meta(description="What it is about, such as `low_stock`.")]
    level: Literal["info", "warning", "error"]
    title: str
    message: str
    action_url: Annotated[str | None, Meta(description="Path of the API where more is to be seen.")]
    resolved_at: Annotated[
        datetime | None, Meta(description="When what it told of was over; null while it is not.")
    ]


@dataclass(frozen=True, slots=True)
class EventType:
    """An event as listeners know it."""

    name: str
    # None: whoever may listen at all
    scope: str | None
    data: type[Struct]
    example: Mapping[str, Any]
    # whether messages that pass (passing.py), which have no number, say the same
    passes: bool = False


_ORDER = "0190b6f0-5a4e-7c31-9d52-6f1f6f0c1a01"
_PRODUCT = "0190b6f0-5a4e-7c31-9d52-6f1f6f0c1a02"
_OTHER = "0190b6f0-5a4e-7c31-9d52-6f1f6f0c1a03"
_DAY = {"from": "2026-03-01", "to": "2026-03-02"}

_ALL = (
    EventType(
        "order_created",
        "orders:read",
        OrderCreated,
        {
            "order_id": _ORDER,
            "number": 1042,
            "total_amount": 19.9,
            "currency": "EUR",
            "status": "pending",
            "customer_id": _OTHER,
            "customer_email": "ada@example.com",
        },
    ),
    EventType(
        "order_status_changed",
        "orders:read",
        OrderStatusChanged,
        {
            "order_id": _ORDER,
            "old_status": "pending",
            "new_status": "processing",
            "timestamp": "2026-03-01T12:00:00.123456Z",
        },
    ),
    EventType(
        "order_refunded",
        "orders:read",
        OrderRefunded,
        {
            "order_id": _ORDER,
            "refund_id": _OTHER,
            "amount": 5.0,
            "currency": "EUR",
            "payment_status": "partially_refunded",
        },
    ),
    EventType("product_created", "catalog:read", ProductCreated, {"product_id": _PRODUCT}),
    EventType(
        "product_updated",
        "catalog:read",
        ProductUpdated,
        {"product_id": _PRODUCT, "changes": ["price"], "updated_fields": {"price": 24.9}},
    ),
    EventType("product_deleted", "catalog:read", ProductDeleted, {"product_id": _PRODUCT}),
    EventType(
        "inventory_updated",
        "inventory:read",
        InventoryUpdated,
        {
            "product_id": _PRODUCT,
            "variant_id": _OTHER,
            "location_id": "0190b6f0-5a4e-7c31-9d52-6f1f6f0c1a04",
            "old_quantity": 6,
            "new_quantity": 4,
            "threshold_alert": True,
        },
    ),
    EventType(
        "dashboard_metrics_updated",
        "analytics:read",
        DashboardMetricsUpdated,
        {
            "metrics": {
                "total_revenue": 1990.0,
                "orders_today": 100,
                "units_today": 120,
                "average_order_value": 19.9,
                "visitors_online": 12,
            },
            "as_of": "2026-03-01T12:00:00.123456Z",
            "snapshot": "812",
            "currency": "EUR",
            "timezone": "Europe/Vienna",
            "period": _DAY,
        },
        passes=True,
    ),
    EventType(
        "report_ready",
        "reports:read",
        ReportReady,
        {
            "report_id": _OTHER,
            "kind": "daily_sales",
            "title": "Sales of 1 March 2026",
            "period": _DAY,
            "formats": ["csv", "xlsx"],
        },
    ),
    EventType(
        "import_finished",
        "jobs:read",
        ImportFinished,
        {
            "job_id": _OTHER,
            "state": "succeeded",
            "counts": {
                "products": {
                    "read": 100,
                    "created": 90,
                    "updated": 8,
                    "unchanged": 0,
                    "rejected": 2,
                }
            },
        },
    ),
    EventType(
        "system_notification",
        None,
        SystemNotification,
        {
            "notification_id": _OTHER,
            "kind": "low_stock",
            "level": "warning",
            "title": "Low stock",
            "message": "4 left of Desk lamp.",
            "action_url": "/api/v1/inventory",
            "resolved_at": None,
        },
    ),
)

EVENT_TYPES: dict[str, EventType] = {found.name: found for found in _ALL}
EVENT_SCOPES: dict[str, str | None] = {found.name: found.scope for found in _ALL}


def visible_types(scopes: frozenset[str]) -> frozenset[str]:
    """The event types a listener with these scopes may receive."""
    return frozenset(
        name for name, scope in EVENT_SCOPES.items() if scope is None or scope in scopes
    )
