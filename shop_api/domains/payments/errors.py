"""What payments refuse."""

from decimal import Decimal

from shop_api.domains.orders.errors import what_it_may_become
from shop_api.kernel.errors import DomainError, conflict, invalid
from shop_api.kernel.money import ZERO, round_money

# status → what it may become
MOVES: dict[str, tuple[str, ...]] = {
    "pending": ("authorized", "captured", "failed", "voided"),
    "authorized": ("captured", "failed", "voided"),
    "captured": (),
    "failed": (),
    "voided": (),
}

ORDER_REFUNDED = conflict(
    "order_refunded", "All that was paid for the order was given back: cancel it."
)

CARD_NUMBER_NEEDED = invalid(
    "card_number_needed", "This provider takes a card: send card_number.", "/card_number"
)
CARD_NUMBER_NOT_TAKEN = invalid(
    "card_number_not_taken", "This provider takes no card.", "/card_number"
)
REFERENCE_NOT_TAKEN = invalid(
    "reference_not_taken", "This provider gives the payment its reference itself.", "/reference"
)

CONSTRAINTS = {
    "uq_payments_reference": conflict(
        "reference_taken", "The provider has a payment with this reference already.", "/reference"
    ),
}


def amount_due(owed: Decimal, currency: str) -> str:
    """What is to be paid first, in words."""
    due = f"{round_money(owed, currency)} {currency}"
    return f"a payment or authorization of what is due comes first, {due} (`due_total`)"


def payment_needed(due: str) -> DomainError:
    """Goods leave that no money is there for; `due`: how much is needed, in words."""
    return conflict(
        "payment_required",
        f"Neither payments nor authorizations cover the order: {due}. Take one, or cancel it.",
    )


def illegal_payment_move(status: str, wanted: str) -> DomainError:
    """A payment cannot go from `status` to `wanted`."""
    allowed = MOVES[status]
    may = f"It may become: {', '.join(allowed)}." if allowed else "It is final."
    return conflict("illegal_state_change", f"A {status} payment cannot be {wanted}. {may}")


def paid_already(payment_status: str, currency: str, allowed: tuple[str, ...]) -> DomainError:
    """Nothing is owed, and nothing is on its way; `allowed`: what the order may still become."""
    due = f"{round_money(ZERO, currency)} {currency}"
    told = payment_status.replace("_", " ")
    return conflict(
        "paid_already", f"The order is {told} already: {due} is due. {what_it_may_become(allowed)}"
    )


def amount_exceeds_due(due: Decimal, currency: str) -> DomainError:
    """More than is owed."""
    amount = f"{round_money(due, currency)} {currency}"
    return conflict("amount_exceeds_due", f"The order has only {amount} left to pay.")


def payment_open(amount: Decimal, currency: str) -> DomainError:
    """Everything due is on its way already."""
    told = f"{round_money(amount, currency)} {currency}"
    return conflict(
        "payment_in_progress",
        f"Nothing is left to pay: {told} is pending or authorized. Capture it, or void it first.",
    )


def amount_exceeds_authorized(amount: Decimal, currency: str) -> DomainError:
    """More than is held."""
    told = f"{round_money(amount, currency)} {currency}"
    return conflict(
        "amount_exceeds_authorized", f"At most {told} can be captured: so much was authorized."
    )
