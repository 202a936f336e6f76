"""The demo shop's other currency and its discounts.

Belongs here: which they are, and what they are worth. Does not: storing them (commands/demo.py) and
the orders that meet them.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from shop_api.kernel.money import currency_digits, round_money

# Units of the shop's currency for one of the other, oldest first: another every quarter.
RATES = tuple(Decimal(rate) for rate in ("1.04", "1.07", "1.11", "1.09", "1.15", "1.17", "1.16"))
RATE_DAYS = 90


def other_currency(currency: str) -> str:
    """The currency that customers from abroad pay in."""
    return "EUR" if currency == "USD" else "USD"


def unit_of(currency: str) -> int:
    """What stands for one of a currency with digits: prices in yen are a hundred times as high."""
    return 100 if currency_digits(currency) == 0 else 1


def exchange_rates(currency: str, opened_at: datetime) -> list[tuple[datetime, Decimal]]:
    """What the other currency is worth, each from an instant on."""
    return [
        (opened_at + timedelta(days=RATE_DAYS * number), rate * unit_of(currency))
        for number, rate in enumerate(RATES)
    ]


def abroad(price: Decimal, currency: str) -> Decimal:
    """A price of the shop's currency as it is asked for in the other one."""
    return round_money(price / unit_of(currency) / RATES[0], other_currency(currency))


def discounts(currency: str) -> list[dict[str, Any]]:
    """Discounts with and without a code, as `POST /discounts` takes them."""
    unit = unit_of(currency)
    return [
        {
            "code": "WELCOME10",
            "title": "10 % off for newcomers",
            "kind": "percentage",
            "percentage": Decimal(10),
        },
        {
            "code": "FIVEOFF",
            "title": "5 off",
            "kind": "fixed",
            "amount": Decimal(5 * unit),
        },
        {"code": "FREESHIP", "title": "Free shipping", "kind": "free_shipping"},
        {
            "title": "Big baskets: 5 % off",
            "kind": "percentage",
            "percentage": Decimal(5),
            "minimum_subtotal": Decimal(150 * unit),
        },
    ]
