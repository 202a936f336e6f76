"""How many digits the amounts of a currency have.

Belongs here: ISO 4217 minor units, for who reads the lake without the product. Does not: amounts
(metrics/definitions.py). `shop_api.kernel.money` has the same table;
tests/integration/test_currency_digits.py holds them equal.
"""

MINOR_UNITS: dict[str, int] = {
    currency: digits
    for digits, currencies in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for currency in currencies.split()
}


def currency_digits(currency: str) -> int:
    """Digits after the decimal point of an ISO 4217 currency (USD 2, JPY 0, KWD 3)."""
    return MINOR_UNITS.get(currency, 2)
