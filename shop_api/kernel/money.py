"""Exact money: currency digits, rounding and allocation.

Belongs here: arithmetic on `Decimal` amounts. Does not: prices, discounts or taxes as rules
(domains).
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

ZERO = Decimal(0)

# ISO 4217 minor units that are not 2. The database has the same table as `currency_digits(text)`
# (migration 0001); tests/integration/test_currency_digits.py holds the two equal.
MINOR_UNITS: dict[str, int] = {
    currency: digits
    for digits, currencies in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for currency in currencies.split()
}

_TWO_DIGIT_CURRENCIES = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD "
    "CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ "
    "GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL "
    "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR "
    "PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT "
    "TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG"
)
CURRENCIES: frozenset[str] = frozenset(MINOR_UNITS) | frozenset(_TWO_DIGIT_CURRENCIES.split())


def currency_digits(currency: str) -> int:
    """Digits after the decimal point of an ISO 4217 currency (USD 2, JPY 0, KWD 3)."""
    return MINOR_UNITS.get(currency, 2)


def round_money(amount: Decimal, currency: str) -> Decimal:
    """Round half up to the currency's digits, as invoices are rounded."""
    return amount.quantize(Decimal(1).scaleb(-currency_digits(currency)), rounding=ROUND_HALF_UP)


def told_digits(currency: str) -> str:
    """How an amount of the currency is written, in words: `EUR has 2 decimals, such as 19.90`."""
    digits = currency_digits(currency)
    example = Decimal(1990).scaleb(-digits)
    count = {0: "no decimals", 1: "1 decimal"}.get(digits, f"{digits} decimals")
    return f"{currency} has {count}, such as {example:f}"


def is_exact(amount: Decimal, currency: str) -> bool:
    """True when `amount` has no more digits than its currency."""
    return amount == amount.quantize(
        Decimal(1).scaleb(-currency_digits(currency)), rounding=ROUND_HALF_EVEN
    )


def amount_rank(amount: Decimal) -> int:
    """Where an amount stands among others: ten-thousandths, as Postgres keeps it beside it."""
    return int(amount * 10_000)


def allocate(total: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Split `total` over `weights` by largest remainder, so that the parts add up to it exactly.

    `total` must be exact in `currency`; weights are not negative. With no positive weight the first
    part takes all. Ties go to the earlier part, so that the same input always splits the same way.
    """
    if not weights:
        raise ValueError("allocate needs at least one weight")
    if any(weight < 0 for weight in weights):
        raise ValueError("weights must not be negative")
    unit = Decimal(1).scaleb(-currency_digits(currency))
    units = int(total / unit)
    if units * unit != total:
        raise ValueError(f"{total} is not exact in {currency}")
    weight_sum = sum(weights, ZERO)
    if weight_sum == 0:
        return [units * unit] + [0 * unit] * (len(weights) - 1)
    sign = -1 if units < 0 else 1
    # in whole numbers: divided decimals are cut at 28 digits, and equal remainders would differ
    exponent = min(int(weight.as_tuple().exponent) for weight in weights)
    scaled = [int(weight.scaleb(-exponent)) for weight in weights]
    parts, remainders = zip(*(divmod(abs(units) * w, sum(scaled)) for w in scaled), strict=True)
    by_remainder = sorted(range(len(weights)), key=lambda i: (-remainders[i], i))
    rounded_up = set(by_remainder[: abs(units) - sum(parts)])
    return [sign * (part + (i in rounded_up)) * unit for i, part in enumerate(parts)]
