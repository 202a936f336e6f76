"""Rows written straight to Postgres, for tests of what reads them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from shop_api import models
from shop_api.kernel.ids import new_id
from shop_api.spine.unit_of_work import Origin, UnitOfWork, unit_of_work
from tests.fixtures.stores import Database

NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)


def make_tenant(
    database: Database, currency: str = "USD", timezone: str = "UTC", **changes: Any
) -> UUID:
    """A tenant with its counters and a default location."""
    tenant_id = new_id(NOW)
    with unit_of_work(
        database.engine, database.waker, Origin(tenant_id, "system:test", "test", NOW)
    ) as work:
        values = {
            "id": tenant_id,
            "name": "Test",
            "slug": f"t-{uuid4().hex[:10]}",
            "plan": "enterprise",
            "currency": currency,
            "timezone": timezone,
            "created_at": NOW,
            "updated_at": NOW,
            **changes,
        }
        work.session.execute(models.tenants.insert().values(values))
        work.session.execute(
            models.tenant_counters.insert(),
            [{"tenant_id": tenant_id, "name": name} for name in ("event", "order")],
        )
        work.session.execute(
            models.locations.insert().values(
                tenant_id=tenant_id,
                id=new_id(NOW),
                name="Main",
                code="main",
                is_default=True,
                created_at=NOW,
                updated_at=NOW,
            )
        )
        work.append("tenant_created", "tenant", tenant_id, {})
    return tenant_id


def insert(work: UnitOfWork, table: Any, **values: Any) -> UUID:
    """One row of a tenant table, with an id; `created_at` and `updated_at` are filled in."""
    row_id = values.setdefault("id", new_id(work.now))
    for column in ("created_at", "updated_at"):
        if column in table.c:
            values.setdefault(column, work.now)
    work.session.execute(table.insert().values(tenant_id=work.tenant_id, **values))
    return row_id


def insert_order(
    work: UnitOfWork,
    *,
    number: int,
    placed_at: datetime,
    lines: list[dict[str, Any]],
    currency: str = "USD",
    shipping_total: Decimal = Decimal(0),
    **changes: Any,
) -> UUID:
    """An order with its lines; amounts are computed from the lines, and its event appended."""
    rows = []
    tax_included = changes.get("tax_included", False)
    for position, line in enumerate(lines):
        subtotal = line["unit_price"] * line["quantity"]
        discount = line.get("discount_total", Decimal(0))
        tax = line.get("tax_total", Decimal(0))
        rows.append(
            {
                "title": "Thing",
                "discount_total": discount,
                "tax_total": tax,
                **line,
                "position": position,
                "subtotal": subtotal,
                "tax_included": tax_included,
                "total": subtotal - discount + (0 if tax_included else tax),
            }
        )
    subtotal = sum((r["subtotal"] for r in rows), Decimal(0))
    discount_total = sum((r["discount_total"] for r in rows), Decimal(0))
    tax_total = sum((r["tax_total"] for r in rows), changes.get("shipping_tax_total", Decimal(0)))
    added = Decimal(0) if tax_included else tax_total
    order_id = insert(
        work,
        models.orders,
        **{
            "number": number,
            "status": "pending",
            "payment_status": "unpaid",
            "fulfillment_status": "unfulfilled",
            "channel": "web",
            "currency": currency,
            "base_currency": currency,
            "exchange_rate": Decimal(1),
            "subtotal": subtotal,
            "discount_total": discount_total,
            "shipping_total": shipping_total,
            "tax_total": tax_total,
            "total": subtotal - discount_total + shipping_total + added,
            "placed_at": placed_at,
            **changes,
        },
    )
    for row in rows:
        insert(work, models.order_lines, order_id=order_id, **row)
    work.append("order_created", "order", order_id, {"order_id": str(order_id)})
    return order_id
