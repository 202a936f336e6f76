"""`simulated`: a payment company in memory, for trying out a shop. The card decides what happens.

| card | what happens |
|---|---|
| 4242424242424242 | approved |
| 4000000000000002 | declined |
| 4000000000003220 | authorized only, whatever was asked: capture it later |
| 4000000000000119 | no answer in time: pending until a callback tells |
| 4000000000000341 | approved, and the callback that says so is delivered twice |
"""

from decimal import Decimal

from shop_api.providers.port import Callback, Charge, ProviderAnswer, Taken

APPROVED = "4242424242424242"
DECLINED = "4000000000000002"
AUTHORIZED_ONLY = "4000000000003220"
TIMED_OUT = "4000000000000119"
TOLD_TWICE = "4000000000000341"
TEST_CARDS = (APPROVED, DECLINED, AUTHORIZED_ONLY, TIMED_OUT, TOLD_TWICE)


class SimulatedProvider:
    """Does what the test card stands for; any other card is declined."""

    name = "simulated"
    takes_cards = True
    has_callbacks = True

    def charge(self, charge: Charge) -> ProviderAnswer:
        """By the card."""
        reference = f"sim_{charge.payment_id.hex}"
        card = charge.card_number
        if card == TIMED_OUT:
            return ProviderAnswer("pending", reference)
        if card == AUTHORIZED_ONLY:
            return ProviderAnswer("authorized", reference)
        if card not in (APPROVED, TOLD_TWICE):
            code = "card_declined" if card == DECLINED else "unknown_card"
            return ProviderAnswer("failed", reference, code)
        state: Taken = "captured" if charge.is_captured else "authorized"
        if card == APPROVED:
            return ProviderAnswer(state, reference)
        told = Callback(f"{reference}_1", reference, state, charge.amount)
        return ProviderAnswer(state, reference, callbacks=(told, told))

    def capture(self, reference: str | None, amount: Decimal) -> ProviderAnswer:
        """What is held can always be taken."""
        return ProviderAnswer("captured", reference)

    def void(self, reference: str | None) -> ProviderAnswer:
        """What was not taken can always be let go."""
        return ProviderAnswer("voided", reference)

    def refund(self, reference: str | None, amount: Decimal) -> None:
        """What was taken can always be given back."""
