"""Figures of customers in plain Python, row by row, to hold the statements against.

Days are told by the date on the wall of each instant, not by edges of buckets; ranks by comparing
each customer with each other.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any

from analytics.metrics.segments import segment_of
from analytics.periods import find_zone, floor_date, local_date

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Movement:
    """What counts of an order or a refund, and when."""

    customer: str | None
    at: datetime
    orders: int
    gross_sales: Decimal = Decimal(0)
    discounts: Decimal = Decimal(0)
    returns: Decimal = Decimal(0)

    @property
    def net_sales(self) -> Decimal:
        return self.gross_sales - self.discounts - self.returns


@dataclass
class Scored:
    """A customer with what they are ranked by."""

    movements: list[Movement] = field(default_factory=list)
    recency_days: int = 0
    frequency: int = 0
    monetary: Decimal = Decimal(0)
    scores: tuple[int, int, int] = (0, 0, 0)

    @property
    def segment(self) -> str:
        return segment_of(*self.scores).name


@dataclass(frozen=True)
class Asked:
    """A question: instants half-open, of a currency and a channel."""

    start_at: datetime
    end_at: datetime
    basis: str
    timezone: str
    currency: str = "BRL"
    channel: str | None = None

    def takes(self, row: dict[str, Any]) -> bool:
        return row["currency"] == self.currency and self.channel in (None, row["channel"])


def seconds(instant: datetime) -> int:
    """Since 1970, cut."""
    return int(instant.timestamp() // 1)


def standing(orders: Rows) -> Rows:
    """Orders that are not cancelled."""
    return [order for order in orders if order["cancelled_at"] is None]


def dim_customers(orders: Rows, refunds: Rows) -> Rows:
    """The rows of the dimension that these orders and refunds make."""
    rows = []
    for customer in sorted({order["customer_id"] for order in orders} - {None}):
        own = [order for order in orders if order["customer_id"] == customer]
        kept = standing(own)
        placed = [order["placed_at"] for order in kept]
        own_ids, kept_ids = ({o["order_id"] for o in some} for some in (own, kept))
        returned = sum(r["goods_amount"] for r in refunds if r["order_id"] in kept_ids)
        moved = [order[name] for order in own for name in ("placed_at", "cancelled_at")]
        moved += [refund["refunded_at"] for refund in refunds if refund["order_id"] in own_ids]
        rows.append(
            {
                "customer_id": customer,
                "first_order_at": min(placed, default=None),
                "last_order_at": max(placed, default=None),
                "orders": len(placed),
                "net_sales": sum(o["gross_sales"] - o["discounts"] for o in kept) - returned,
                "last_moved_at": max(at for at in moved if at is not None),
                "created_at": datetime(2017, 1, 1, tzinfo=find_zone("UTC")),
            }
        )
    return rows


def movements(orders: Rows, refunds: Rows, asked: Asked) -> list[Movement]:
    """All movements by the basis."""
    found = []
    is_by_event = asked.basis == "event_date"
    for order in filter(asked.takes, orders):
        who, placed_at, cancelled_at = (
            order["customer_id"], order["placed_at"], order["cancelled_at"],
        )  # fmt: skip
        gross, discounts = order["gross_sales"], order["discounts"]
        if cancelled_at is None or is_by_event:
            found.append(Movement(who, placed_at, int(cancelled_at is None), gross, discounts))
        if cancelled_at is not None and is_by_event:
            found.append(Movement(who, cancelled_at, 0, -gross, -discounts))
        for refund in refunds:
            if refund["order_id"] != order["order_id"]:
                continue
            back, back_at = refund["goods_amount"], refund["refunded_at"]
            if cancelled_at is None:
                at = back_at if is_by_event else placed_at
                found.append(Movement(who, at, 0, returns=back))
            elif is_by_event and back_at < cancelled_at:
                found.append(Movement(who, back_at, 0, returns=back))
                found.append(Movement(who, cancelled_at, 0, returns=-back))
    return found


def counts(orders: Rows, asked: Asked) -> dict[str, int]:
    """Customers, new and returning ones, and orders of guests."""
    first_ever = {row["customer_id"]: row["first_order_at"] for row in dim_customers(orders, [])}
    placed: dict[str | None, list[datetime]] = defaultdict(list)
    for order in filter(asked.takes, standing(orders)):
        if asked.start_at <= order["placed_at"] < asked.end_at:
            placed[order["customer_id"]].append(order["placed_at"])
    guests = placed.pop(None, [])
    return {
        "customers": len(placed),
        "new_customers": sum(first_ever[who] >= asked.start_at for who in placed),
        "returning_customers": sum(
            any(at > first_ever[who] for at in times) or len(times) > 1
            for who, times in placed.items()
        ),
        "guest_orders": len(guests),
    }


def scored(orders: Rows, refunds: Rows, asked: Asked) -> dict[str, Scored]:
    """Everybody who has ordered by the end, ranked among each other."""
    found: dict[str, Scored] = defaultdict(Scored)
    for movement in movements(orders, refunds, asked):
        if movement.customer is not None and movement.at < asked.end_at:
            found[movement.customer].movements.append(movement)
    found = {who: one for who, one in found.items() if any(m.orders for m in one.movements)}
    for one in found.values():
        last = max(m.at for m in one.movements if m.orders)
        one.recency_days = (seconds(asked.end_at) - seconds(last)) // 86_400
        one.frequency = sum(m.orders for m in one.movements)
        one.monetary = sum((m.net_sales for m in one.movements), Decimal(0))
    everybody = list(found.values())
    others = max(1, len(everybody) - 1)
    for one in everybody:
        later = sum(other.recency_days < one.recency_days for other in everybody)
        seldomer = sum(other.frequency < one.frequency for other in everybody)
        less = sum(other.monetary < one.monetary for other in everybody)
        one.scores = (
            max(1, 5 - 5 * later // others),
            min(5, 1 + 5 * seldomer // others),
            min(5, 1 + 5 * less // others),
        )
    return found


def cohorts(
    orders: Rows, refunds: Rows, asked: Asked, interval: str
) -> dict[tuple[date, date], tuple[int, int, Decimal]]:
    """(cohort, bucket) → customers of the cohort, retained ones, net sales; where any counts."""
    zone = find_zone(asked.timezone)

    def bucket(instant: datetime) -> date:
        return floor_date(local_date(instant, zone), interval)

    first_ever = {
        row["customer_id"]: row["first_order_at"]
        for row in dim_customers(orders, [])
        if row["first_order_at"] and asked.start_at <= row["first_order_at"] < asked.end_at
    }
    moved = [
        (m.customer, max(m.at, first_ever[m.customer]), m)
        for m in movements(orders, refunds, asked)
        if m.customer in first_ever and m.at < asked.end_at
    ]
    buyers = {who for who, _, m in moved if m.orders}
    sizes: dict[date, int] = defaultdict(int)
    for who in buyers:
        sizes[bucket(first_ever[who])] += 1
    retained: dict[tuple[date, date], set[str | None]] = defaultdict(set)
    sold: dict[tuple[date, date], Decimal] = defaultdict(Decimal)
    for who, at, movement in moved:
        if who in buyers:
            cell = (bucket(first_ever[who]), bucket(at))
            sold[cell] += movement.net_sales
            if movement.orders:
                retained[cell].add(who)
    return {cell: (sizes[cell[0]], len(retained[cell]), sold[cell]) for cell in sold}


def repeat_seconds(orders: Rows, asked: Asked) -> list[int]:
    """The seconds since the order before, of each order in the period, the shortest first."""
    placed: dict[str, list[datetime]] = defaultdict(list)
    for order in filter(asked.takes, standing(orders)):
        if order["customer_id"] is not None:
            placed[order["customer_id"]].append(order["placed_at"])
    return sorted(
        seconds(after) - seconds(before)
        for times in placed.values()
        for before, after in pairwise(sorted(times))
        if asked.start_at <= after < asked.end_at
    )


def days(total_seconds: Decimal | int) -> Decimal:
    """Seconds as days to four places."""
    return (Decimal(total_seconds) / 86_400).quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)
