"""What happens to orders, written straight to Postgres with its events, for tests of the lake."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from shop_api import models
from shop_api.spine.unit_of_work import Origin, UnitOfWork, unit_of_work
from tests.factories.rows import NOW, insert, insert_order
from tests.fixtures.stores import Database


@contextmanager
def selling(database: Database, tenant_id: UUID, now: datetime = NOW) -> Iterator[UnitOfWork]:
    """A unit of work of the tenant."""
    origin = Origin(tenant_id, "system:test", "test", now)
    with unit_of_work(database.engine, database.waker, origin) as work:
        yield work


def add_category(work: UnitOfWork, name: str, parent_id: UUID | None = None) -> UUID:
    return insert(work, models.categories, name=name, slug=name.lower(), parent_id=parent_id)


def add_product(work: UnitOfWork, name: str, *category_ids: UUID, **changes: Any) -> UUID:
    values = {"name": name, "price": Decimal(10), "currency": "USD", "status": "active", **changes}
    product_id = insert(work, models.products, **values)
    set_categories(work, product_id, *category_ids)
    work.append("product_created", "product", product_id, {})
    return product_id


def set_categories(work: UnitOfWork, product_id: UUID, *category_ids: UUID) -> None:
    table = models.product_categories
    work.session.execute(table.delete().where(table.c.product_id == product_id))
    for category_id in category_ids:
        work.session.execute(
            table.insert().values(
                tenant_id=work.tenant_id, product_id=product_id, category_id=category_id
            )
        )


def add_customer(work: UnitOfWork, address: dict[str, Any] | None = None, **changes: Any) -> UUID:
    """A customer; `address` is the default one of their book."""
    customer_id = insert(work, models.customers, **changes)
    if address is not None:
        flags = {"is_default_shipping": True, "is_default_billing": True}
        insert(work, models.customer_addresses, customer_id=customer_id, **flags, **address)
    work.append("customer_created", "customer", customer_id, {})
    return customer_id


def place(
    work: UnitOfWork, number: int, placed_at: datetime, price: str = "10.00", **changes: Any
) -> UUID:
    """An order of one line, two units."""
    line = {
        "unit_price": Decimal(price),
        "quantity": 2,
        "product_id": changes.pop("product_id", None),
        "variant_id": changes.pop("variant_id", None),
        "location_id": changes.pop("location_id", None),
        "discount_total": changes.pop("discount", Decimal("0.50")),
        "tax_total": changes.pop("tax", Decimal("1.25")),
    }
    changes.setdefault("shipping_total", Decimal("4.00"))
    return insert_order(work, number=number, placed_at=placed_at, lines=[line], **changes)


def change_order(work: UnitOfWork, order_id: UUID, **values: Any) -> None:
    """New values on an order, and the event of a changed status."""
    work.session.execute(
        update(models.orders).where(models.orders.c.id == order_id).values(**values)
    )
    work.append("order_status_changed", "order", order_id, {})


def spoil(database: Database, tenant_id: UUID, order_id: UUID, by: int) -> None:
    """Make the amounts of a placed order not add up; by 0, add up again."""
    with selling(database, tenant_id) as work:
        values = {"subtotal": Decimal(20) + by, "total": Decimal("24.75") + by}
        change_order(work, order_id, **values)


def cancel(work: UnitOfWork, order_id: UUID, at: datetime) -> None:
    change_order(work, order_id, status="cancelled", cancelled_at=at)


def pay(work: UnitOfWork, order_id: UUID, amount: Decimal, method: str = "cash") -> UUID:
    payment_id = insert(
        work,
        models.payments,
        order_id=order_id,
        provider="manual",
        method=method,
        status="captured",
        amount=amount,
        currency="USD",
    )
    work.append("order_paid", "order", order_id, {})
    return payment_id


def refund(
    work: UnitOfWork,
    order_id: UUID,
    at: datetime,
    goods: Decimal,
    tax: Decimal = Decimal(0),
    shipping: Decimal = Decimal(0),
    other: Decimal = Decimal(0),
    currency: str = "USD",
) -> UUID:
    """One unit of the order's first line comes back, and what else is given."""
    refund_id = insert(
        work,
        models.refunds,
        order_id=order_id,
        amount=goods + tax + shipping + other,
        tax_amount=tax,
        shipping_amount=shipping,
        currency=currency,
        created_at=at,
    )
    if goods:
        lines = models.order_lines
        line_id = work.session.execute(
            select(lines.c.id).where(lines.c.order_id == order_id).order_by(lines.c.position)
        ).scalars()
        insert(
            work,
            models.refund_lines,
            refund_id=refund_id,
            order_line_id=line_id.first(),
            quantity=1,
            amount=goods,
        )
    work.append("order_refunded", "order", order_id, {})
    return refund_id


def day(number: int, hour: int = 12) -> datetime:
    """An instant, `number` days after the first of 2026."""
    return datetime(2026, 1, 1, hour, tzinfo=NOW.tzinfo) + timedelta(days=number)


def add_exchange_rate(
    work: UnitOfWork, currency: str, rate: Decimal, effective_at: datetime
) -> UUID:
    """A rate of exchange, told by its event."""
    row_id = insert(
        work, models.exchange_rates, currency=currency, rate=rate, effective_at=effective_at
    )
    work.append("exchange_rate_created", "exchange_rate", row_id, {})
    return row_id
