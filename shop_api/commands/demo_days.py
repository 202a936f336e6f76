"""The demo shop's last days: orders and visits, through the services that serve real ones.

Belongs here: playing days that are over, once. Does not: the long history before (bulk/demo_shop)
and what happens while the demo runs (shoppers.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import groupby, islice
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from shop_api.bulk.demo_shop.people import address_of, make_person
from shop_api.bulk.demo_shop.visits import VISITS_A_SALE, Event, Shown, Storefront
from shop_api.db.tenancy import tenant_session
from shop_api.domains.fulfillments.service import complete_order
from shop_api.domains.orders.service import lock_order, place_order
from shop_api.domains.payments.service import pay_order
from shop_api.domains.tracking.schemas import MAX_EVENTS
from shop_api.domains.tracking.service import take_in
from shop_api.spine.traffic_stream import TrafficIntake
from shop_api.spine.unit_of_work import Origin, UnitOfWork, unit_of_work
from shop_api.spine.waker import Waker

ACTOR = "system:demo"
ORDERS = 40
NAMES = [f"L{number:03d}" for number in range(1, ORDERS + 1)]
ORDER_DAYS = 14
VISIT_DAYS = 30
# Of a day's orders those whose visitors let themselves be counted.
TRACKED_A_DAY = 20
PAID_AFTER = timedelta(minutes=2)
SENT_AFTER = timedelta(days=1)
METHODS = ("credit_card", "paypal")

# on sale, with enough of it that shoppers find some, too
FIND_VARIANTS = """
SELECT v.id FROM variants v
JOIN products p ON p.tenant_id = v.tenant_id AND p.id = v.product_id
JOIN stock_levels s ON s.tenant_id = v.tenant_id AND s.variant_id = v.id
WHERE v.tenant_id = %(tenant_id)s AND p.status = 'active' AND s.quantity - s.reserved >= 40
ORDER BY v.external_id LIMIT 400
"""
FIND_CUSTOMERS = """
SELECT id FROM customers WHERE tenant_id = %(tenant_id)s AND external_id IS NOT NULL
ORDER BY external_id DESC LIMIT 200
"""
FIND_RATE = "SELECT id FROM shipping_rates WHERE tenant_id = %(tenant_id)s LIMIT 1"
FIND_CODES = """
SELECT code FROM discounts WHERE tenant_id = %(tenant_id)s AND code IS NOT NULL ORDER BY code
"""
FIND_PLAYED = """
SELECT external_id, placed_at FROM orders
WHERE tenant_id = %(tenant_id)s AND external_id = ANY(%(names)s)
"""
FIND_PRODUCTS = """
SELECT id, name FROM products WHERE tenant_id = %(tenant_id)s AND status = 'active'
ORDER BY external_id
"""
FIND_SALES = """
SELECT o.id, o.placed_at, array_agg(DISTINCT l.product_id) AS product_ids
FROM orders o JOIN order_lines l ON l.tenant_id = o.tenant_id AND l.order_id = o.id
WHERE o.tenant_id = %(tenant_id)s AND o.channel = 'web'
    AND o.placed_at >= %(start)s AND o.placed_at <= %(end)s
GROUP BY o.id, o.placed_at ORDER BY o.placed_at, o.id
"""


class LastDays:
    """Plays them for one tenant, the same for the same seed."""

    def __init__(self, engine: Engine, waker: Waker, tenant_id: UUID, seed: int) -> None:
        self._engine = engine
        self._waker = waker
        self._tenant_id = tenant_id
        self._rng = Random(seed)
        # of their own: the same visits also when the orders are there
        self._visits_rng = Random(f"{seed} visits")

    def begun_at(self, now: datetime) -> datetime:
        """Of when the days that were begun are; `now` when none are: a run that was cut short is
        gone on with as of its beginning."""
        first = self._rows(FIND_PLAYED, names=NAMES[:1])
        return first[0].placed_at + timedelta(days=ORDER_DAYS) if first else now

    def place_orders(self, now: datetime) -> None:
        """Orders with discounts, by customers who come again; those that are there stay.

        Each is told by its external_id.
        """
        played = {row.external_id for row in self._rows(FIND_PLAYED, names=NAMES)}
        if played.issuperset(NAMES):
            return
        variants = [row.id for row in self._rows(FIND_VARIANTS)]
        customers = [row.id for row in self._rows(FIND_CUSTOMERS)]
        rates = [row.id for row in self._rows(FIND_RATE)]
        codes = [row.code for row in self._rows(FIND_CODES)] if rates else []
        for number, name in enumerate(NAMES):
            placed_at = now - timedelta(days=ORDER_DAYS * (1 - number / ORDERS))
            body = self._order(name, variants, customers, rates, codes)
            method = self._rng.choice(METHODS)
            if name not in played and variants:
                self._sell(body, method, placed_at, now)

    def _order(
        self,
        name: str,
        variants: list[UUID],
        customers: list[UUID],
        rates: list[UUID],
        codes: list[str],
    ) -> dict[str, Any]:
        rng = self._rng
        chosen = rng.sample(variants, k=min(len(variants), rng.choice((1, 2, 2, 3))))
        return {
            "external_id": name,
            "lines": [
                {"variant_id": variant, "quantity": rng.choice((1, 2))} for variant in chosen
            ],
            "channel": "web",
            "customer_id": rng.choice(customers) if customers else None,
            "discount_codes": [code] if (code := rng.choice((*codes, None))) else [],
            "shipping_rate_id": rates[0] if rates else None,
            "shipping_address": address_of(make_person(rng, 0)),
        }

    def _sell(self, body: dict[str, Any], method: str, placed_at: datetime, now: datetime) -> None:
        with self._work(placed_at) as work:
            order_id = place_order(work, body, shows_stock=True)
        with self._work(placed_at + PAID_AFTER) as work:
            pay_order(work, lock_order(work, order_id), {"method": method})
        if placed_at + SENT_AFTER < now:
            with self._work(placed_at + SENT_AFTER) as work:
                complete_order(work, lock_order(work, order_id))

    def send_visits(self, intake: TrafficIntake, now: datetime) -> int:
        """The visits around the web shop's orders, as they would have been sent; their events.

        Of the same orders they are the same, and an event counts once by its id.
        """
        products = {row.id: Shown(row.id, row.name) for row in self._rows(FIND_PRODUCTS)}
        storefront = Storefront(self._visits_rng, list(products.values()))
        sales = self._rows(FIND_SALES, start=now - timedelta(days=VISIT_DAYS), end=now)
        count = 0
        for _, of_day in groupby(sales, lambda sale: sale.placed_at.date()):
            events: list[Event] = []
            for sale in islice(of_day, TRACKED_A_DAY):
                bought = [products[p] for p in sale.product_ids if p in products]
                events += storefront.purchase(sale.placed_at, sale.id, bought)
                for _ in range(VISITS_A_SALE - 1):
                    at = sale.placed_at + timedelta(minutes=self._visits_rng.uniform(-90, 90))
                    events += storefront.visit(at)
            past = sorted(
                (event for event in events if event["occurred_at"] <= now),
                key=lambda event: event["occurred_at"],
            )
            for first in range(0, len(past), MAX_EVENTS):
                batch = past[first : first + MAX_EVENTS]
                take_in(intake, self._tenant_id, batch, None, batch[-1]["occurred_at"])
            count += len(past)
        return count

    @contextmanager
    def _work(self, now: datetime) -> Iterator[UnitOfWork]:
        origin = Origin(self._tenant_id, ACTOR, f"demo-{now.timestamp():.6f}", now)
        with unit_of_work(self._engine, self._waker, origin) as work:
            yield work

    def _rows(self, statement: str, **values: Any) -> list[Any]:
        with tenant_session(self._engine, self._tenant_id) as session:
            return session.fetch(statement, {"tenant_id": self._tenant_id, **values})
