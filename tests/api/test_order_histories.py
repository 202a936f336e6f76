"""Any history of orders, their money and their goods: ledger, levels, payments and orders agree."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import TenantSession, tenant_session
from tests.fixtures.api import Answered, ApiClient, Shop, open_shop

ORDERS = "/api/v1/orders"
PRICES = ["0.01", "3.33", "19.99"]
ON_ORDERS = ["pay", "pay", "pay_part", "fulfill", "complete", "cancel"]
ON_ORDERS += ["return_goods", "refund_amount", "refund_units", "refund_units"]
ON_ORDERS += ["authorize", "authorize", "capture", "void", "void"]

# (what, which order or variant, how much, how much of another)
steps = st.lists(
    st.tuples(
        st.sampled_from(["place", "place", "place", "adjust", *ON_ORDERS]),
        st.integers(0, 5),
        st.integers(1, 4),
        st.integers(0, 3),
    ),
    min_size=5,
    max_size=30,
)


@dataclass
class Line:
    """A line of an order."""

    id: str
    variant_id: str
    price: Decimal
    quantity: int
    fulfilled: int = 0
    returned: int = 0
    refunded: int = 0
    # refunded before they left
    cancelled: int = 0

    @property
    def left(self) -> int:
        return self.quantity - self.fulfilled - self.cancelled


@dataclass
class Order:
    """What an order should say of itself."""

    id: str
    lines: list[Line]
    status: str = "pending"
    paid: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    owed_again: Decimal = Decimal(0)
    # payment → what it holds
    held: dict[str, Decimal] = field(default_factory=dict)
    last_payment: str = ""

    @property
    def authorized(self) -> Decimal:
        return sum(self.held.values(), Decimal(0))

    @property
    def has_money(self) -> bool:
        return self.paid > self.refunded or self.authorized > 0

    @property
    def owed(self) -> Decimal:
        return self.total - self.paid + self.owed_again

    @property
    def is_given_up(self) -> bool:
        is_open = self.status in ("pending", "processing")
        return is_open and not self.has_money and self.fulfillment_status == "unfulfilled"

    @property
    def total(self) -> Decimal:
        return sum((line.price * line.quantity for line in self.lines), Decimal(0))

    @property
    def payment_status(self) -> str:
        if self.refunded and self.refunded < self.paid:
            return "partially_refunded"
        if self.paid and not self.refunded:
            return "paid" if self.paid == self.total else "partially_paid"
        return "authorized" if self.authorized else "refunded" if self.refunded else "unpaid"

    @property
    def fulfillment_status(self) -> str:
        ordered = sum(line.quantity - line.cancelled for line in self.lines)
        fulfilled = sum(line.fulfilled for line in self.lines)
        if fulfilled in (0, ordered):
            is_back = sum(line.returned for line in self.lines) == ordered
            return "unfulfilled" if not fulfilled else "returned" if is_back else "fulfilled"
        return "partial"


def refused(answered: Answered, code: str) -> None:
    assert (answered.status, answered.code) == (409, code)


@dataclass
class Model:
    """What the shop should hold."""

    shop: Shop
    quantity: dict[str, int]
    reserved: dict[str, int]
    orders: list[Order] = field(default_factory=list)

    def post(self, order: Order, noun: str, body: Any = None) -> Answered:
        return self.shop.api.post(f"{ORDERS}/{order.id}/{noun}", body)

    def place(self, which: int, wanted: int, more: int) -> None:
        ids = list(self.quantity)
        lines = [(ids[which % 3], wanted)]
        if more:
            lines += [(ids[(which + 1) % 3], more), (ids[which % 3], 1)]
        need = dict.fromkeys(ids, 0)
        for variant_id, quantity in lines:
            need[variant_id] += quantity
        is_enough = all(need[i] <= self.quantity[i] - self.reserved[i] for i in ids)
        answered = self.shop.order(*lines)
        if not is_enough:
            refused(answered, "out_of_stock")
            return
        assert answered.status == 201
        for variant_id in ids:
            self.reserved[variant_id] += need[variant_id]
        made = [
            Line(line["id"], variant_id, Decimal(PRICES[ids.index(variant_id)]), quantity)
            for line, (variant_id, quantity) in zip(answered.json["lines"], lines, strict=True)
        ]
        self.orders.append(Order(answered.json["id"], made))
        assert answered.json["total"] == self.orders[-1].total

    def adjust(self, which: int, delta: int) -> None:
        variant_id = list(self.quantity)[which % 3]
        answered = self.shop.api.post(
            "/api/v1/inventory/adjustments",
            {"adjustments": [{"variant_id": variant_id, "delta": delta}]},
        )
        new = self.quantity[variant_id] + delta
        if delta < 0 and new < self.reserved[variant_id]:
            refused(answered, "stock_below_zero")
            return
        assert answered.status == 200
        self.quantity[variant_id] = new

    def pay(self, order: Order, much: int, more: int, part: Decimal | None = None) -> None:
        body = {"method": "cash", **({} if part is None else {"amount": part})}
        if (amount := self._pay(order, body)) is not None:
            order.paid += amount
            self._move_on(order)

    def _pay(self, order: Order, body: dict[str, Any]) -> Decimal | None:
        """What was taken or held, if it was not refused."""
        due = order.owed - order.authorized
        answered = self.post(order, "payments", body)
        amount: Decimal = body.get("amount", due)
        if order.status == "cancelled" or (order.owed <= 0 and order.payment_status != "unpaid"):
            is_final = order.status == "cancelled"
            refused(answered, "illegal_state_change" if is_final else "paid_already")
        elif due <= 0:
            refused(answered, "payment_in_progress")
        elif amount > due:
            refused(answered, "amount_exceeds_due")
        else:
            assert answered.status == 201
            order.last_payment = answered.json["payments"][-1]["id"]
            return amount
        return None

    def _move_on(self, order: Order) -> None:
        if order.status == "pending" and order.has_money and order.owed <= order.authorized:
            order.status = "processing"

    def authorize(self, order: Order, much: int, more: int) -> None:
        part = {} if more else {"amount": Decimal(much) / 100}
        amount = self._pay(order, {"method": "card", "capture": False, **part})
        if amount is not None:
            order.held[order.last_payment] = amount
            self._move_on(order)

    def capture(self, order: Order, much: int, more: int) -> None:
        for payment_id, held in list(order.held.items())[:1]:
            amount = min(held, Decimal(much) / 100) if more else held
            answered = self.post(order, f"payments/{payment_id}/capture", {"amount": amount})
            assert answered.status == 200
            del order.held[payment_id]
            order.paid += amount
            self._move_on(order)

    def void(self, order: Order, much: int, more: int) -> None:
        for payment_id in list(order.held)[:1]:
            assert self.post(order, f"payments/{payment_id}/void").status == 200
            del order.held[payment_id]

    def is_uncovered(self, order: Order, answered: Answered) -> bool:
        """Whether there is no money for the goods; then they must not leave."""
        if order.owed > order.authorized:
            refused(answered, "payment_required")
        elif not order.has_money:
            refused(answered, "order_refunded")
        else:
            return False
        return True

    def pay_part(self, order: Order, much: int, more: int) -> None:
        self.pay(order, much, more, Decimal(much) / 100)

    def fulfill(self, order: Order, much: int, more: int) -> None:
        line = order.lines[more % len(order.lines)]
        body = {"lines": [{"line_id": line.id, "quantity": much}]}
        answered = self.post(order, "fulfillments", body)
        if order.status != "processing":
            refused(answered, "illegal_state_change")
        elif much > line.left:
            refused(answered, "quantity_exceeds_remaining")
        elif not self.is_uncovered(order, answered):
            assert answered.status == 201
            self._hand_over(line, much)

    def _hand_over(self, line: Line, quantity: int) -> None:
        line.fulfilled += quantity
        self.quantity[line.variant_id] -= quantity
        self.reserved[line.variant_id] -= quantity

    def complete(self, order: Order, much: int, more: int) -> None:
        answered = self.post(order, "complete")
        if order.status != "processing":
            refused(answered, "illegal_state_change")
            return
        if any(line.left for line in order.lines) and self.is_uncovered(order, answered):
            return
        assert answered.status == 200
        order.status = "completed"
        for line in order.lines:
            self._hand_over(line, line.left)

    def cancel(self, order: Order, much: int, more: int) -> None:
        answered = self.post(order, "cancel")
        has_left = any(line.fulfilled for line in order.lines)
        if order.status not in ("pending", "processing") or has_left:
            refused(answered, "illegal_state_change")
            return
        assert answered.status == 200
        order.status, order.refunded = "cancelled", order.paid
        order.held = {}
        for line in order.lines:
            self.reserved[line.variant_id] -= line.left

    def return_goods(self, order: Order, much: int, more: int) -> None:
        line = order.lines[more % len(order.lines)]
        restock = much % 2 == 0
        item = {"line_id": line.id, "quantity": much, "restock": restock}
        answered = self.post(order, "returns", {"lines": [item]})
        if much > line.fulfilled - line.returned:
            refused(answered, "quantity_exceeds_remaining")
            return
        assert answered.status == 201
        line.returned += much
        self.quantity[line.variant_id] += much if restock else 0

    def refund_amount(self, order: Order, much: int, more: int) -> None:
        self._refund(order, Decimal(much * (1 + 50 * more)) / 100)

    def refund_units(self, order: Order, much: int, more: int) -> None:
        line = order.lines[more % len(order.lines)]
        if much > line.quantity - line.refunded:
            body = {"lines": [{"line_id": line.id, "quantity": much}]}
            refused(self.post(order, "refunds", body), "quantity_exceeds_remaining")
        else:
            self._refund(order, line.price * much, line, much)

    def _refund(
        self, order: Order, amount: Decimal, line: Line | None = None, quantity: int = 0
    ) -> None:
        body: dict[str, Any] = {"amount": amount}
        if line is not None:
            body = {"lines": [{"line_id": line.id, "quantity": quantity}]}
        answered = self.post(order, "refunds", body)
        if amount > order.paid - order.refunded:
            refused(answered, "amount_exceeds_refundable")
            return
        assert answered.status == 201
        assert answered.json["amount"] == amount
        if line is None and order.owed > 0:
            order.owed_again += amount
        order.refunded += amount
        if line is not None:
            of_returned = max(line.returned - (line.refunded - line.cancelled), 0)
            is_open = order.status in ("pending", "processing")
            staying = max(min(quantity - of_returned, line.left), 0) if is_open else 0
            line.refunded += quantity
            line.cancelled += staying
            self.reserved[line.variant_id] -= staying


def check(session: TenantSession, model: Model) -> None:
    """Levels, ledger, payments and orders tell the same."""
    levels = session.execute(text("SELECT variant_id, quantity, reserved FROM stock_levels")).all()
    for variant_id, quantity, reserved in levels:
        assert quantity == model.quantity[str(variant_id)]
        assert reserved == model.reserved[str(variant_id)]
        assert min(quantity, reserved, quantity - reserved) >= 0
    ledger = session.execute(
        text(
            "SELECT variant_id, sum(quantity_delta), sum(reserved_delta) FROM stock_movements"
            " GROUP BY variant_id"
        )
    ).all()
    assert {row[0]: (row[1], row[2]) for row in levels} == {r[0]: (r[1], r[2]) for r in ledger}
    held = session.execute(
        text(
            "SELECT l.variant_id, sum(l.quantity - l.fulfilled_quantity"
            " - l.cancelled_quantity) FROM orders o"
            " JOIN order_lines l ON l.tenant_id = o.tenant_id AND l.order_id = o.id"
            " WHERE o.status IN ('pending', 'processing') GROUP BY l.variant_id"
        )
    ).all()
    assert {i: q for i, q in held if q} == {row[0]: row[2] for row in levels if row[2]}
    check_orders(session, model)


def check_orders(session: TenantSession, model: Model) -> None:
    """Each order says what its rows come to, and what the model says."""
    of_order = "WHERE x.tenant_id = o.tenant_id AND x.order_id = o.id"
    of_refunds = f"FROM refunds x JOIN {{}} y ON y.refund_id = x.id {of_order}"
    rows = session.execute(
        text(
            "SELECT o.*,"
            f" (SELECT sum(x.total) FROM order_lines x {of_order}) AS lines,"
            f" (SELECT coalesce(sum(x.amount), 0) FROM payments x {of_order}"
            " AND x.status = 'captured') AS payments,"
            f" (SELECT coalesce(sum(x.refunded_amount), 0) FROM payments x {of_order}) AS back,"
            f" (SELECT coalesce(sum(x.amount), 0) FROM refunds x {of_order}) AS refunds,"
            f" (SELECT coalesce(sum(y.amount), 0) {of_refunds.format('refund_payments')}) AS taken,"
            f" (SELECT coalesce(sum(y.amount), 0) {of_refunds.format('refund_lines')}) AS goods,"
            f" (SELECT sum(x.refunded_amount) FROM order_lines x {of_order}) AS of_lines"
            " FROM orders o"
        )
    ).all()
    expected = {order.id: order for order in model.orders}
    assert len(rows) == len(expected)
    for row in rows:
        order = expected[str(row.id)]
        assert row.total == row.lines == order.total
        assert row.paid_total == row.payments == order.paid
        assert row.refunded_total == row.refunds == row.back == row.taken == order.refunded
        units = sum((line.price * line.refunded for line in order.lines), Decimal(0))
        assert row.goods == row.of_lines == units
        assert (row.status, row.payment_status, row.fulfillment_status) == (
            order.status,
            order.payment_status,
            order.fulfillment_status,
        )
        assert (row.hold_expires_at is not None) == order.is_given_up
    lines = {line.id: line for order in model.orders for line in order.lines}
    for row in session.execute(text("SELECT * FROM order_lines")):
        line = lines[str(row.id)]
        assert (row.fulfilled_quantity, row.refunded_quantity) == (line.fulfilled, line.refunded)
        assert row.cancelled_quantity == line.cancelled
        assert 0 <= row.fulfilled_quantity <= row.quantity - row.cancelled_quantity


@settings(
    max_examples=20,
    deadline=None,
    # a history takes a second: shrinking one would take minutes
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=steps)
def test_any_history_adds_up(
    app: App, api: ApiClient, history: list[tuple[str, int, int, int]]
) -> None:
    shop = open_shop(api)
    variants = [shop.product(price, 8)["variants"][0]["id"] for price in PRICES]
    model = Model(shop, dict.fromkeys(variants, 8), dict.fromkeys(variants, 0))
    for action, which, much, more in history:
        if action == "place":
            model.place(which, much, more)
        elif action == "adjust":
            model.adjust(which, much - 3)
        elif model.orders:
            order = model.orders[which % len(model.orders)]
            getattr(model, action)(order, much, more)
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        check(session, model)
        events = session.execute(text("SELECT sequence FROM events ORDER BY 1")).scalars().all()
    assert list(events) == list(range(1, len(events) + 1))
