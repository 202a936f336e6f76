"""`manual`: money that somebody took by other means (cash, a bank transfer, a card terminal)."""

from decimal import Decimal

from shop_api.providers.port import Charge, ProviderAnswer, Taken


class ManualProvider:
    """Believes the clerk: everything succeeds."""

    name = "manual"
    takes_cards = False
    has_callbacks = False

    def charge(self, charge: Charge) -> ProviderAnswer:
        """Taken, or promised."""
        state: Taken = "captured" if charge.is_captured else "authorized"
        return ProviderAnswer(state, charge.reference)

    def capture(self, reference: str | None, amount: Decimal) -> ProviderAnswer:
        """Taken now."""
        return ProviderAnswer("captured", reference)

    def void(self, reference: str | None) -> ProviderAnswer:
        """Not needed any more."""
        return ProviderAnswer("voided", reference)

    def refund(self, reference: str | None, amount: Decimal) -> None:
        """The clerk gives it back."""
