"""A shop with a past of forty days, in Postgres and in the stream of visits: orders in two
currencies, paid in several ways, refunded and cancelled, of customers who come back and of guests.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from shop_api import models
from shop_api.spine.traffic_stream import TrafficEvent, TrafficIntake
from shop_api.spine.unit_of_work import UnitOfWork
from tests.factories.rows import insert, insert_order
from tests.factories.sales import (
    add_category,
    add_customer,
    add_product,
    cancel,
    refund,
    selling,
)
from tests.factories.traffic import event, send
from tests.fixtures.stores import Database

ORDERS, VISITS = 70, 60
PAST = timedelta(days=40)
# the first half of which is long past; the second lies in the last two days
RECENT = timedelta(days=2)
D = Decimal


def live(database: Database, tenant_id: UUID, now: datetime, source: Random) -> None:
    """All that is told of the shop's orders."""
    with selling(database, tenant_id, now - PAST) as work:
        category = add_category(work, "Teas")
        products = [
            *(add_product(work, "Tea", category) for _ in range(2)),
            add_product(work, "Cup"),
            None,
        ]
        emails = [f"{number}@people.example" for number in range(7)]
        people = [*(add_customer(work, email=email) for email in emails), None]
        for number in range(ORDERS):
            _order(work, 1000 + number, past(now, source), source, products, people)


def past(now: datetime, source: Random) -> datetime:
    """An instant of the past, half of them of the last days."""
    longest = source.choice([PAST, RECENT])
    return now - timedelta(seconds=source.uniform(1, longest.total_seconds()))


def _order(
    work: UnitOfWork,
    number: int,
    placed_at: datetime,
    source: Random,
    products: list[UUID | None],
    people: list[UUID | None],
) -> None:
    currency = source.choice(["USD", "USD", "USD", "EUR"])
    order_id = insert_order(
        work,
        number=number,
        placed_at=placed_at,
        lines=[
            {
                "unit_price": D(source.randint(1, 9999)) / 100,
                "quantity": source.randint(1, 3),
                "product_id": source.choice(products),
                "discount_total": D(source.randint(0, 1)) / 100,
                "tax_total": D(source.randint(0, 99)) / 100,
            }
            for _ in range(source.randint(1, 3))
        ],
        currency=currency,
        shipping_total=D(source.randint(0, 499)) / 100,
        customer_id=source.choice(people),
        channel=source.choice(["web", "pos"]),
        status=source.choice(["pending", "processing", "completed"]),
        fulfillment_status=source.choice(["unfulfilled", "partial", "fulfilled", "returned"]),
        shipping_address=source.choice([None, {"country": "BR", "region": "SP"}]),
        base_currency="USD",
        exchange_rate=D(1) if currency == "USD" else source.choice([None, D("1.0837123457")]),
    )
    now = work.now + PAST

    def after() -> datetime:
        return placed_at + (now - placed_at) * source.random()

    for _ in range(source.choice([0, 1, 1, 2])):
        insert(
            work,
            models.payments,
            order_id=order_id,
            provider="manual",
            method=source.choice(["cash", "credit_card", ":gift"]),
            status=source.choice(["captured", "captured", "captured", "failed"]),
            amount=D(source.randint(1, 9999)) / 100,
            currency=currency,
            created_at=after(),
        )
    for _ in range(source.choice([0, 0, 1])):
        goods, tax, shipping = (D(source.randint(1, 99)) / 100 for _ in range(3))
        refund(work, order_id, after(), goods, tax, shipping, currency=currency)
    if source.random() < 0.2:
        cancel(work, order_id, after())


def visit(intake: TrafficIntake, tenant_id: UUID, now: datetime, source: Random) -> None:
    """What visitors did there: some come back, on the same day and in the same session."""
    products = [str(UUID(int=number)) for number in range(3)]
    for number in range(VISITS):
        at, visitor = past(now, source), f"v_{source.randint(1, 25)}"
        landing = {
            "referrer_host": source.choice([None, "find.example", "pay.example"]),
            "utm_source": source.choice([None, "mail"]),
            "device": source.choice([None, "mobile", "desktop"]),
        }
        events = [
            _event(at + timedelta(minutes=40 * step), visitor, number % 40, source, products)
            for step in range(source.randint(1, 4))
        ]
        told = [each for each in events if each.occurred_at < now.timestamp() * 1e6]
        kept = [_changed(each, landing) for each in told]
        if kept:
            send(intake, tenant_id, *kept, at=now)


def _event(
    at: datetime, visitor: str, session: int, source: Random, products: list[str]
) -> TrafficEvent:
    kind = source.choice(
        ["page_view", "page_view", "product_view", "add_to_cart", "checkout_started", "purchase"]
    )
    of_kind: dict[str, Any] = {}
    if kind in ("product_view", "add_to_cart"):
        of_kind["product_id"] = source.choice(products)
    elif kind == "purchase":
        of_kind["order_id"] = str(UUID(int=session))
    return event(
        at,
        kind=kind,
        visitor_id=visitor,
        session_id=f"s_{session}",
        is_bot=visitor.endswith("7"),
        # a view without a page is not taken in
        path=source.choice(["/", "/tea"]) if kind == "page_view" else None,
        **of_kind,
    )


def _changed(known: TrafficEvent, landing: dict[str, str | None]) -> TrafficEvent:
    values = {name: getattr(known, name) for name in known.__struct_fields__}
    return TrafficEvent(**{**values, **landing})
