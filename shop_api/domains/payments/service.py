"""Taking money for orders; knows no HTTP. The order is locked by whoever calls."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.orders.errors import illegal_move, inexact_amount, moves_left
from shop_api.domains.orders.repository import OrderRepository
from shop_api.domains.orders.service import announce_move, lock_order, show_order
from shop_api.domains.payments import errors
from shop_api.domains.payments.repository import PaymentRepository, PaymentSums
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.kernel.money import is_exact, round_money
from shop_api.providers import PROVIDERS
from shop_api.providers.port import Callback, Charge, PaymentProvider, ProviderAnswer
from shop_api.spine.unit_of_work import UnitOfWork

# Tellings arrive in any order. One that is not newer than the payment's state is no news.
STATE_ORDER = {
    "pending": 0,
    "authorized": 1,
    "failed": 2,
    "voided": 2,
    # money that did move, whatever was told before
    "captured": 3,
    "refunded": 4,
}
ANNOUNCED = {
    "pending": "payment_pending",
    "authorized": "payment_authorized",
    "captured": "order_paid",
    "failed": "payment_failed",
    "voided": "payment_voided",
}


def payment_status(total: Decimal, sums: PaymentSums) -> str:
    """An order's payment_status, from nothing but its payments and refunds."""
    if sums.refunded > 0 and sums.captured > sums.refunded:
        return "partially_refunded"
    if sums.refunded > 0:
        return "authorized" if sums.authorized > 0 else "refunded"
    if sums.captures or total == 0:
        return "paid" if sums.captured >= total else "partially_paid"
    return "authorized" if sums.authorized > 0 else "unpaid"


def amount_owed(order: Row[Any], sums: PaymentSums) -> Decimal:
    """What is still to be captured of an order.

    Money that was given back before it was paid is owed again, but not what refunded units cost.
    """
    owed: Decimal = order.total - sums.captured + order.owed_again_total
    return owed


def check_covered(work: UnitOfWork, order: Row[Any]) -> None:
    """Raise `payment_required` or `order_refunded` unless there is money for a locked order."""
    if order.payment_status == "paid":
        return
    sums = work.repository(PaymentRepository).sums(order.id)
    owed = amount_owed(order, sums)
    if owed > sums.authorized:
        raise errors.payment_needed(errors.amount_due(owed, order.currency))
    if order.total > 0 and not sums.has_money:
        raise errors.ORDER_REFUNDED


def payment_due(work: UnitOfWork, order: Row[Any]) -> str:
    """What a locked order waits for, in words."""
    owed = amount_owed(order, work.repository(PaymentRepository).sums(order.id))
    return errors.amount_due(owed, order.currency)


def renew_hold(work: UnitOfWork, before: Row[Any], hold: timedelta) -> None:
    """Let the clock give up an order again that was paid, or held its stock for a time, before.

    `hold`: for how long, unless the tenant says so.
    """
    if before.hold_expires_at is not None or before.payment_status != "unpaid":
        work.repository(PaymentRepository).renew_hold(before.id, work.now, hold)


def pay_order(work: UnitOfWork, order: Row[Any], body: dict[str, Any]) -> Row[Any]:
    """Take a payment, of what is due unless `amount` says less; the order's resource row.

    A payment that the provider declines is recorded as failed and changes nothing else of the
    order. Paid or authorized in full, a pending order is processing. Raises `illegal_state_change`,
    `paid_already`, `amount_exceeds_due` or `payment_in_progress`.
    """
    provider = PROVIDERS[body.get("provider", "manual")]
    _check_means(provider, body)
    payments = work.repository(PaymentRepository)
    amount = _amount_to_pay(order, payments.sums(order.id), body.get("amount"))
    payment_id = new_id(work.now)
    payments.add(
        {
            "id": payment_id,
            "order_id": order.id,
            "provider": provider.name,
            "method": body["method"],
            "status": "pending",
            "amount": amount,
            "currency": order.currency,
            "created_at": work.now,
            "updated_at": work.now,
        }
    )
    answer = provider.charge(
        Charge(
            payment_id,
            amount,
            order.currency,
            is_captured=body.get("capture", True),
            card_number=body.get("card_number"),
            reference=body.get("reference"),
        )
    )
    settle_payment(work, order, payment_id, answer, amount)
    for callback in answer.callbacks:
        told = open_callback(work, provider.name, callback)
        if told is not None:
            apply_callback(work, told, callback)
    return show_order(work, order.id)


def _check_means(provider: PaymentProvider, body: dict[str, Any]) -> None:
    if provider.takes_cards and "card_number" not in body:
        raise errors.CARD_NUMBER_NEEDED
    if not provider.takes_cards and "card_number" in body:
        raise errors.CARD_NUMBER_NOT_TAKEN
    if provider.takes_cards and body.get("reference") is not None:
        raise errors.REFERENCE_NOT_TAKEN


def _amount_to_pay(order: Row[Any], sums: PaymentSums, wanted: Decimal | None) -> Decimal:
    owed = amount_owed(order, sums)
    if order.status == "cancelled":
        raise illegal_move(order.status, "paid")
    if owed <= 0 and order.payment_status != "unpaid":
        allowed = moves_left(order.status, order.fulfillment_status)
        raise errors.paid_already(order.payment_status, order.currency, allowed)
    due = owed - sums.open
    if due <= 0 < sums.open:
        raise errors.payment_open(sums.open, order.currency)
    amount = due if wanted is None else wanted
    if not is_exact(amount, order.currency):
        raise inexact_amount(order.currency)
    if amount > due:
        raise errors.amount_exceeds_due(due, order.currency)
    return amount


def settle_payment(
    work: UnitOfWork,
    order: Row[Any],
    payment_id: UUID,
    answer: ProviderAnswer,
    amount: Decimal,
) -> None:
    """Put what became of a payment on it, and on its order."""
    values: dict[str, Any] = {"status": answer.state, "updated_at": work.now}
    if answer.reference is not None:
        values["reference"] = answer.reference
    if answer.failure_code is not None or answer.state == "captured":
        values["failure_code"] = answer.failure_code
    if answer.state == "authorized":
        values["authorized_amount"] = amount
    if answer.state in ("authorized", "captured"):
        values["amount"] = amount
    work.repository(PaymentRepository).change(payment_id, values)
    what: dict[str, Any] = {
        "payment_id": str(payment_id),
        "amount": round_money(amount, order.currency),
        "currency": order.currency,
    }
    if answer.failure_code is not None:
        what["failure_code"] = answer.failure_code
    settle_order(work, order, ANNOUNCED[answer.state], what)


def settle_order(work: UnitOfWork, order: Row[Any], event: str, what: dict[str, Any]) -> None:
    """Bring a locked order to what its payments and refunds come to, and announce `event`.

    The order is read again first: there may be several in one transaction.
    """
    sums = work.repository(PaymentRepository).sums(order.id)
    before = lock_order(work, order.id)
    is_covered = amount_owed(before, sums) <= sums.authorized
    has_money = sums.has_money or before.total == 0
    moves_on = before.status == "pending" and has_money and is_covered
    status: str = "processing" if moves_on else before.status
    after = {
        "status": status,
        "payment_status": payment_status(before.total, sums),
        "paid_total": sums.captured,
        "refunded_total": sums.refunded,
    }
    # an order with money in it is not given up by the clock
    hold = None if has_money else before.hold_expires_at
    work.repository(OrderRepository).change(
        order.id, {**after, "hold_expires_at": hold, "updated_at": work.now}
    )
    work.append(
        event,
        "order",
        order.id,
        {"order_id": str(order.id), **what, "payment_status": after["payment_status"]},
    )
    announce_move(work, order.id, before.status, status)
    old = {name: getattr(before, name) for name in after}
    work.audit(event, "order", order.id, old, {**after, **what})


def find_payment(work: UnitOfWork, order: Row[Any], payment_id: UUID) -> Row[Any]:
    """A payment of a locked order."""
    payment = work.repository(PaymentRepository).find(order.id, payment_id)
    if payment is None:
        raise not_found("payment")
    return payment


def capture_payment(
    work: UnitOfWork, order: Row[Any], payment_id: UUID, amount: Decimal | None
) -> Row[Any]:
    """Take what is held, or a part of it: the rest is released. The order's resource row.

    Raises `illegal_state_change` or `amount_exceeds_authorized`.
    """
    payment = find_payment(work, order, payment_id)
    if payment.status != "authorized":
        raise errors.illegal_payment_move(payment.status, "captured")
    held = payment.amount if payment.authorized_amount is None else payment.authorized_amount
    taken = held if amount is None else amount
    if not is_exact(taken, order.currency):
        raise inexact_amount(order.currency)
    if taken > held:
        raise errors.amount_exceeds_authorized(held, order.currency)
    answer = PROVIDERS[payment.provider].capture(payment.reference, taken)
    settle_payment(work, order, payment_id, answer, taken)
    return show_order(work, order.id)


def void_payment(work: UnitOfWork, order: Row[Any], payment_id: UUID, hold: timedelta) -> Row[Any]:
    """Let go what is held or pending; the order's resource row. Raises `illegal_state_change`.

    `hold`: for how long the order keeps its stock when no money is left in it.
    """
    payment = find_payment(work, order, payment_id)
    if "voided" not in errors.MOVES[payment.status]:
        raise errors.illegal_payment_move(payment.status, "voided")
    _void(work, order, payment)
    renew_hold(work, order, hold)
    return show_order(work, order.id)


def void_open_payments(work: UnitOfWork, order: Row[Any]) -> None:
    """Let go all that is held or pending of an order."""
    for payment in work.repository(PaymentRepository).list_open(order.id):
        _void(work, order, payment)


def _void(work: UnitOfWork, order: Row[Any], payment: Row[Any]) -> None:
    answer = PROVIDERS[payment.provider].void(payment.reference)
    settle_payment(work, order, payment.id, answer, payment.amount)


class Told(NamedTuple):
    """What a callback is about, the order locked."""

    order: Row[Any]
    payment: Row[Any]


def open_callback(work: UnitOfWork, provider: str, callback: Callback) -> Told | None:
    """Note a callback; None when the same was told before."""
    payments = work.repository(PaymentRepository)
    found = payments.find_by_reference(provider, callback.reference)
    if found is None:
        raise not_found("payment")
    order = lock_order(work, found.order_id)
    is_new = payments.add_callback(
        {
            "provider": provider,
            "callback_id": callback.callback_id,
            "payment_id": found.id,
            "outcome": callback.outcome,
            "now": work.now,
        }
    )
    return Told(order, find_payment(work, order, found.id)) if is_new else None


def is_news(status: str, outcome: str) -> bool:
    """Whether a telling goes beyond the state a payment is in."""
    return STATE_ORDER[outcome] > STATE_ORDER[status]


def apply_callback(work: UnitOfWork, told: Told, callback: Callback) -> bool:
    """Settle a payment by what its provider tells; False when that is no news.

    Raises `amount_exceeds_authorized` when it tells of more than was asked for.
    """
    order, payment = told
    if callback.outcome == "refunded" or not is_news(payment.status, callback.outcome):
        return False
    amount = told_amount(payment, callback)
    code = "told_by_provider" if callback.outcome == "failed" else None
    settle_payment(
        work, order, payment.id, ProviderAnswer(callback.outcome, failure_code=code), amount
    )
    return True


def told_amount(payment: Row[Any], callback: Callback) -> Decimal:
    """The amount a callback is about: the payment's own unless it says less."""
    amount: Decimal = payment.amount if callback.amount is None else callback.amount
    if not is_exact(amount, payment.currency):
        raise inexact_amount(payment.currency)
    if amount > payment.amount:
        raise errors.amount_exceeds_authorized(payment.amount, payment.currency)
    return amount
