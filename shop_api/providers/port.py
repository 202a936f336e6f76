"""What a payment provider does, in the words of payment companies: charge, capture, void, refund.

Belongs here: the port and its values. Does not: a provider (a file each), what a payment means for
its order (domains/payments).

A payment goes through three steps: it is recorded as pending, the provider is called, and its
answer is settled on the payment. A provider that is called over a network must be called with no
transaction open: the pending payment is committed first, so that the money is known of whatever
becomes of the call, and `charge` names the payment, so that asking again charges once. The built-in
providers answer at once and without a network, and are called within the transaction.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol
from uuid import UUID

# What a payment is at its provider. `pending`: the provider has not said yet, a callback will.
PaymentState = Literal["pending", "authorized", "captured", "failed", "voided"]
Taken = Literal["authorized", "captured"]
Outcome = Literal["authorized", "captured", "failed", "refunded"]


@dataclass(frozen=True, slots=True)
class Charge:
    """Money to take. `is_captured` False: only to be held until it is captured."""

    payment_id: UUID
    amount: Decimal
    currency: str
    is_captured: bool
    # of a card payment; never stored, never logged
    card_number: str | None = None
    # what the clerk wrote of a payment that was taken elsewhere
    reference: str | None = None

    def __repr__(self) -> str:
        return f"Charge({self.payment_id}, {self.amount} {self.currency})"


@dataclass(frozen=True, slots=True)
class Callback:
    """What a provider tells later, of its own accord; the same `callback_id` is the same telling.

    `amount` of a refund is all that has been given back of the payment so far, so that a telling
    that comes late or twice changes nothing. None: the whole payment.
    """

    callback_id: str
    reference: str
    outcome: Outcome
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """What became of a payment."""

    state: PaymentState
    # the provider's own id of the payment
    reference: str | None = None
    # why it failed, as a stable code
    failure_code: str | None = None
    # tellings that a provider without a network of its own would send; in their order
    callbacks: tuple[Callback, ...] = ()


class PaymentProvider(Protocol):
    """A payment company, or a till."""

    name: str
    # whether it takes `card_number`, or a reference of the clerk's
    takes_cards: bool
    has_callbacks: bool

    def charge(self, charge: Charge) -> ProviderAnswer:
        """Take the money, or hold it."""

    def capture(self, reference: str | None, amount: Decimal) -> ProviderAnswer:
        """Take `amount` of what is held; the rest is released."""

    def void(self, reference: str | None) -> ProviderAnswer:
        """Let go what is held or still pending. Once voided it is never captured."""

    def refund(self, reference: str | None, amount: Decimal) -> None:
        """Give back `amount` of what was captured."""
