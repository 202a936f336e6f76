"""The demo shop's past: who bought what, paid how, cancelled or sent back.

Belongs here: orders with lines, payments and refunds. Does not: instants (season.py) and writing
them (seeding.py). All values are the text that staging takes.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from random import Random

from shop_api.bulk.demo_shop.assortment import Item, Row
from shop_api.bulk.demo_shop.people import make_person
from shop_api.bulk.demo_shop.season import Sale
from shop_api.bulk.demo_shop.terms import abroad, other_currency, unit_of
from shop_api.kernel.money import ZERO, allocate, round_money

LINE_COUNTS = ((1, 2, 3, 4, 5), (52, 27, 12, 6, 3))
QUANTITIES = ((1, 2, 3, 4), (82, 13, 3, 2))
METHODS = {
    "web": (("credit_card", "paypal", "bank_transfer", "gift_card"), (58, 27, 10, 5)),
    "pos": (("credit_card", "cash", "gift_card"), (61, 35, 4)),
}
DISCOUNT_RATIO = 0.14
DISCOUNT_PERCENTS = (5, 10, 10, 15, 20)
TAX_PERCENT = Decimal(8)
CANCELLED_RATIO = 0.035
GUEST_RATIO = {"web": 0.08, "pos": 0.55}
RETURNING_RATIO = 0.55
VISIT_LIMIT = 30
# Of the web shop's orders those that were paid in the other currency.
ABROAD_RATIO = 0.07
FREE_SHIPPING_FROM = 60
SHIPPING = Decimal("4.90")
OPEN_DAYS = 4


@dataclass
class History:
    """Rows to stage."""

    customers: list[Row] = field(default_factory=list)
    orders: list[Row] = field(default_factory=list)
    order_lines: list[Row] = field(default_factory=list)
    payments: list[Row] = field(default_factory=list)
    refunds: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class _Line:
    item: Item
    unit_price: Decimal
    unit_cost: Decimal
    quantity: int
    discount: Decimal
    tax: Decimal
    key: str

    @property
    def total(self) -> Decimal:
        return self.unit_price * self.quantity - self.discount + self.tax


class Historian:
    """Writes the history of an assortment, one sale after the other."""

    def __init__(self, rng: Random, items: list[Item], currency: str, now: datetime) -> None:
        self._rng = rng
        self._items = items
        self._currency = currency
        self._now = now
        self._weights = [
            list(accumulate(i.popularity * i.department.season[month] for i in items))
            for month in range(12)
        ]
        self._buyers: list[Row] = []
        self._visits: Counter[str] = Counter()
        self.history = History()

    def record(self, number: int, sale: Sale) -> None:
        """One sale: its order and what follows from it until now."""
        placed_at, channel = sale
        key = f"D{number:06d}"
        customer = self._customer(channel, placed_at)
        is_abroad = channel == "web" and self._rng.random() < ABROAD_RATIO
        currency = other_currency(self._currency) if is_abroad else self._currency
        lines = self._lines(key, placed_at, currency)
        shipping = self._shipping(channel, lines, currency)
        total = sum((line.total for line in lines), shipping)
        is_cancelled = channel == "web" and self._rng.random() < CANCELLED_RATIO
        status, completed_at = self._progress(channel, placed_at)
        cancelled_at = placed_at + timedelta(hours=self._rng.uniform(0.5, 30))
        if is_cancelled and cancelled_at < self._now:
            status, completed_at = "cancelled", None
        order: Row = {
            "external_id": key,
            "customer": customer["external_id"] if customer else None,
            "status": status,
            "fulfillment_status": "fulfilled" if status == "completed" else "unfulfilled",
            "channel": channel,
            "currency": currency,
            "shipping_total": str(shipping),
            "placed_at": placed_at.isoformat(),
            "completed_at": completed_at.isoformat() if completed_at else None,
            "cancelled_at": cancelled_at.isoformat() if status == "cancelled" else None,
        }
        if customer and channel == "web":
            order |= {name: v for name, v in customer.items() if name.startswith("address_")}
        self.history.orders.append(order)
        self._add_lines(key, lines)
        self._pay(key, status, channel, placed_at, total)
        if status == "cancelled":
            self._refund_cancelled(key, lines, shipping, total, cancelled_at)
        elif completed_at:
            self._return_goods(key, lines, completed_at)

    def _customer(self, channel: str, placed_at: datetime) -> Row | None:
        if self._rng.random() < GUEST_RATIO[channel]:
            return None
        # drawn from past purchases: who bought often buys again
        known = self._rng.choice(self._buyers) if self._buyers else None
        is_returning = self._rng.random() < RETURNING_RATIO
        if known and is_returning and self._visits[str(known["email"])] < VISIT_LIMIT:
            customer = known
        else:
            customer = make_person(self._rng, len(self.history.customers) + 1)
            customer["created_at"] = placed_at.isoformat()
            self.history.customers.append(customer)
        self._buyers.append(customer)
        self._visits[str(customer["email"])] += 1
        return customer

    def _lines(self, key: str, placed_at: datetime, currency: str) -> list[_Line]:
        count = self._rng.choices(LINE_COUNTS[0], LINE_COUNTS[1])[0]
        chosen = self._rng.choices(
            self._items, cum_weights=self._weights[placed_at.month - 1], k=count
        )
        items = list(dict.fromkeys(chosen))
        quantities = self._rng.choices(QUANTITIES[0], QUANTITIES[1], k=len(items))
        prices = [self._in(item.price, currency) for item in items]
        subtotals = [price * q for price, q in zip(prices, quantities, strict=True)]
        discounts = [ZERO] * len(items)
        if self._rng.random() < DISCOUNT_RATIO:
            percent = self._rng.choice(DISCOUNT_PERCENTS)
            total = round_money(sum(subtotals, ZERO) * percent / 100, currency)
            discounts = allocate(total, subtotals, currency)
        lines = []
        for i, (item, quantity) in enumerate(zip(items, quantities, strict=True)):
            net = subtotals[i] - discounts[i]
            tax = round_money(net * TAX_PERCENT / 100, currency)
            cost = self._in(item.cost, currency)
            line_key = f"{key}-{i + 1}"
            lines.append(_Line(item, prices[i], cost, quantity, discounts[i], tax, line_key))
        return lines

    def _in(self, price: Decimal, currency: str) -> Decimal:
        """A price of the assortment in the currency of an order."""
        return price if currency == self._currency else abroad(price, self._currency)

    def _shipping(self, channel: str, lines: list[_Line], currency: str) -> Decimal:
        unit = unit_of(currency)
        goods = sum((line.total for line in lines), ZERO)
        is_free = channel == "pos" or goods >= FREE_SHIPPING_FROM * unit
        return ZERO if is_free else round_money(SHIPPING * unit, currency)

    def _progress(self, channel: str, placed_at: datetime) -> tuple[str, datetime | None]:
        """Shop sales are done at once, parcels within days; the newest are still open."""
        if channel == "pos":
            return "completed", placed_at
        completed_at = placed_at + timedelta(days=self._rng.uniform(0.8, OPEN_DAYS))
        if completed_at < self._now:
            return "completed", completed_at
        is_new = self._now - placed_at < timedelta(hours=self._rng.uniform(1, 20))
        return ("pending" if is_new else "processing"), None

    def _add_lines(self, key: str, lines: list[_Line]) -> None:
        for position, line in enumerate(lines):
            self.history.order_lines.append(
                {
                    "order": key,
                    "external_id": line.key,
                    "position": str(position),
                    "product": line.item.product,
                    "variant": line.item.variant,
                    "title": line.item.title,
                    "sku": line.item.sku,
                    "quantity": str(line.quantity),
                    "unit_price": str(line.unit_price),
                    "unit_cost": str(line.unit_cost),
                    "discount_total": str(line.discount),
                    "tax_total": str(line.tax),
                }
            )

    def _pay(
        self, key: str, status: str, channel: str, placed_at: datetime, total: Decimal
    ) -> None:
        if status == "pending":
            return
        methods, weights = METHODS[channel]
        is_failed = status == "cancelled" and self._rng.random() < 0.5
        self.history.payments.append(
            {
                "order": key,
                "external_id": f"{key}-P1",
                "provider": "manual",
                "method": self._rng.choices(methods, weights)[0],
                "status": "failed" if is_failed else "captured",
                "amount": str(total),
                "created_at": (placed_at + timedelta(seconds=self._rng.randint(5, 90))).isoformat(),
            }
        )

    def _refund_cancelled(
        self,
        key: str,
        lines: list[_Line],
        shipping: Decimal,
        total: Decimal,
        cancelled_at: datetime,
    ) -> None:
        """What was paid goes back in one sum."""
        if self.history.payments[-1]["status"] == "captured":
            self.history.refunds.append(
                {
                    "order": key,
                    "external_id": f"{key}-R0",
                    "amount": str(total),
                    "shipping_amount": str(shipping),
                    "tax_amount": str(sum((line.tax for line in lines), ZERO)),
                    "reason": "cancelled",
                    "created_at": cancelled_at.isoformat(),
                }
            )

    def _return_goods(self, key: str, lines: list[_Line], completed_at: datetime) -> None:
        for i, line in enumerate(lines):
            returned_at = completed_at + timedelta(days=self._rng.uniform(2, 21))
            is_returned = self._rng.random() < line.item.department.return_ratio
            if is_returned and returned_at < self._now:
                self.history.refunds.append(
                    {
                        "order": key,
                        "external_id": f"{key}-R{i + 1}",
                        "line": line.key,
                        "quantity": str(line.quantity),
                        "amount": str(line.total),
                        "tax_amount": str(line.tax),
                        "reason": self._rng.choice(("does not fit", "changed mind", "damaged")),
                        "created_at": returned_at.isoformat(),
                    }
                )
