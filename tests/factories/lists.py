"""Lists, the sorts each has, and what a row of theirs needs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import Table

from shop_api import models

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ListCase:
    """A list, one of its sorts, and how to make a row with a value of it."""

    path: str
    sort: str
    table: Table
    values: Callable[[int], dict[str, Any]]
    default_order: str
    names_sort: bool = True

    @property
    def column(self) -> str:
        return {"inventory": "available_quantity"}.get(self.sort, self.sort)

    def query(self, **changes: Any) -> dict[str, Any]:
        return {**({"sort": self.sort} if self.names_sort else {}), **changes}

    def __str__(self) -> str:
        return f"{self.path.split('/')[-1]}-{self.sort}"


def instants(column: str) -> Callable[[int], dict[str, Any]]:
    # a microsecond apart: nothing may be cut off
    return lambda value: {column: START + timedelta(microseconds=value)}


def sold(value: int) -> dict[str, Any]:
    return {"total_sales": Decimal(value) / 100}


NAMES = ["", "A", "a", "B b", "Ä", "ä", "é", "e", "z" * 255, "日本" * 100]


def name(value: int) -> dict[str, Any]:
    return {"name": NAMES[value % len(NAMES)]}


def first_day(value: int) -> dict[str, Any]:
    return {"period_from": START.date() + timedelta(days=value)}


def case(
    path: str,
    sort: str,
    table: Table,
    values: Callable[[int], dict[str, Any]],
    order: str = "desc",
    names_sort: bool = True,
) -> ListCase:
    return ListCase(f"/api/v1/{path}", sort, table, values, order, names_sort)


CASES = [
    case("products", "created_at", models.products, instants("created_at")),
    case("products", "updated_at", models.products, instants("updated_at")),
    case("products", "price", models.products, lambda v: {"price": Decimal(v) / 100}, "asc"),
    case("products", "name", models.products, name, "asc"),
    case(
        "products",
        "total_sales",
        models.products,
        lambda v: {"total_sales": Decimal(v) / 100},
        "asc",
    ),
    case("products", "inventory", models.products, lambda v: {"available_quantity": v}, "asc"),
    case("orders", "placed_at", models.orders, instants("placed_at")),
    case("orders", "updated_at", models.orders, instants("updated_at")),
    case("orders", "total", models.orders, lambda v: {"subtotal": v, "total": v}),
    case("customers", "created_at", models.customers, instants("created_at")),
    case("customers", "updated_at", models.customers, instants("updated_at")),
    case("categories", "created_at", models.categories, instants("created_at"), "asc"),
    case("categories", "name", models.categories, name, "asc"),
    case("categories", "position", models.categories, lambda v: {"position": v}, "asc"),
    case("sessions", "opened_at", models.sessions, instants("opened_at"), "desc", False),
    case(
        "inventory/movements",
        "created_at",
        models.stock_movements,
        instants("created_at"),
        "desc",
        False,
    ),
    case("locations", "created_at", models.locations, instants("created_at"), "asc", False),
    case("discounts", "created_at", models.discounts, instants("created_at"), "desc", False),
    case("tax_rates", "created_at", models.tax_rates, instants("created_at"), "desc", False),
    case(
        "shipping_rates", "created_at", models.shipping_rates, instants("created_at"), "desc", False
    ),
    case(
        "exchange_rates",
        "effective_at",
        models.exchange_rates,
        instants("effective_at"),
        "desc",
        False,
    ),
    case("users", "created_at", models.users, instants("created_at"), "asc", False),
    case("api_keys", "created_at", models.api_keys, instants("created_at"), "desc", False),
    case("audit_log", "created_at", models.audit_entries, instants("created_at"), "desc", False),
    case("invitations", "created_at", models.invitations, instants("created_at"), "desc", False),
    case("jobs", "created_at", models.jobs, instants("created_at")),
    case("reports", "period_from", models.reports, first_day),
    case(
        "notifications", "created_at", models.notifications, instants("created_at"), "desc", False
    ),
    case(
        "webhook_endpoints",
        "created_at",
        models.webhook_endpoints,
        instants("created_at"),
        "desc",
        False,
    ),
]


_NUMBERS = count()


def _currency() -> str:
    """Another one each time: a currency has one rate of an instant."""
    number = next(_NUMBERS)
    return "".join(chr(65 + number // 26**place % 26) for place in range(3))


def defaults(table: Table, row_id: UUID) -> dict[str, Any]:
    """What a row of the table needs besides its sort value."""
    key = row_id.hex
    needed: dict[str, dict[str, Any]] = {
        "products": {"name": "x", "price": 1, "currency": "USD", "status": "active"},
        "orders": {
            "number": row_id.int % 2**62,
            "status": "pending",
            "payment_status": "unpaid",
            "fulfillment_status": "unfulfilled",
            "channel": "web",
            "currency": "USD",
            "base_currency": "USD",
            "exchange_rate": 1,
            "subtotal": 1,
            "total": 1,
            "placed_at": START,
        },
        "customers": {},
        "categories": {"name": "x", "slug": key},
        "locations": {"name": "x", "code": key},
        "sessions": {
            "kind": "till",
            "name": key,
            "channel": "pos",
            "currency": "USD",
            "opened_by": "system:test",
            "opened_at": START,
        },
        "stock_movements": {
            "variant_id": row_id,
            "location_id": row_id,
            "quantity_delta": 1,
            "reserved_delta": 0,
            "reason": "adjusted",
            "actor": "system:test",
        },
        "discounts": {"title": "x", "kind": "free_shipping", "currency": "USD"},
        "tax_rates": {"name": key, "country": "IT", "rate_ratio": 0},
        "shipping_rates": {"name": key, "kind": "flat", "price": 1, "currency": "USD"},
        "exchange_rates": {"currency": _currency(), "rate": 1, "effective_at": START},
        **_of_people_and_work(row_id),
    }
    return needed[table.name]


def _of_people_and_work(row_id: UUID) -> dict[str, dict[str, Any]]:
    key = row_id.hex
    # after any first day, and another in every row: two reports of the same days cannot be
    last_day = START.date() + timedelta(days=1_000_000 + row_id.int % 1_000_000)
    return {
        "users": {
            "email": f"{key}@example.com",
            "name": "x",
            "role": "viewer",
            "password_hash": "",
        },
        "api_keys": {
            "name": "x",
            "kind": "secret",
            "prefix": "sk_",
            "key_hash": row_id.bytes,
            "scopes": ["catalog:read"],
        },
        "invitations": {
            "email": f"{key}@example.com",
            "role": "viewer",
            "token_hash": row_id.bytes,
            "invited_by": "user:x",
            "expires_at": START,
        },
        "audit_entries": {
            "action": "product_updated",
            "subject_type": "product",
            "actor": "system:test",
            "request_id": "test",
            "changes": {"before": {}, "after": {}},
        },
        "jobs": {
            "kind": "import",
            "state": "queued",
            "params": {},
            "actor": "system:test",
            "request_id": "test",
        },
        "notifications": {
            "kind": "late_pipeline",
            "level": "warning",
            "title": "x",
            "message": "x",
            "data": {},
        },
        "webhook_endpoints": {
            "url": "https://example.com/",
            "scopes": [],
            "after_sequence": 0,
            "secret": b"x",
        },
        "reports": {
            "kind": "daily_sales",
            "title": "x",
            "snapshot": "1",
            "as_of": START,
            "period_to": last_day,
        },
    }
