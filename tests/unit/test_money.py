"""Exact money: rounding, exactness and allocation, for every currency."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shop_api.kernel.money import (
    CURRENCIES,
    MINOR_UNITS,
    allocate,
    currency_digits,
    is_exact,
    round_money,
)

currencies = st.sampled_from(sorted(CURRENCIES))
numeric_18_4 = st.decimals(
    min_value=Decimal("-99999999999999.9999"),
    max_value=Decimal("99999999999999.9999"),
    places=4,
    allow_nan=False,
)
weights = st.lists(
    st.decimals(min_value=0, max_value=10**9, places=4, allow_nan=False), min_size=1, max_size=30
)


def unit(currency: str) -> Decimal:
    return Decimal(1).scaleb(-currency_digits(currency))


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("2.345", "USD", "2.35"),
        ("2.344999", "USD", "2.34"),
        ("-2.345", "USD", "-2.35"),
        ("1990.5", "JPY", "1991"),
        ("0.0005", "KWD", "0.001"),
        ("1", "CLF", "1.0000"),
        ("19.9", "EUR", "19.90"),
    ],
)
def test_rounding_is_half_away_from_zero_to_the_currencys_digits(
    amount: str, currency: str, rounded: str
) -> None:
    assert str(round_money(Decimal(amount), currency)) == rounded


@given(numeric_18_4, currencies)
def test_a_rounded_amount_is_exact_near_and_stays(amount: Decimal, currency: str) -> None:
    rounded = round_money(amount, currency)
    assert is_exact(rounded, currency)
    assert abs(rounded - amount) <= unit(currency) / 2
    assert round_money(rounded, currency) == rounded
    assert round_money(-amount, currency) == -rounded
    assert -rounded.as_tuple().exponent == -unit(currency).as_tuple().exponent  # type: ignore[operator]


@given(numeric_18_4, currencies)
def test_exact_means_rounding_changes_nothing(amount: Decimal, currency: str) -> None:
    assert is_exact(amount, currency) == (round_money(amount, currency) == amount)


@given(st.integers(-(10**14), 10**14), weights, currencies)
def test_parts_add_up_and_are_within_a_unit_of_their_share(
    units: int, weights: list[Decimal], currency: str
) -> None:
    total = units * unit(currency)
    parts = allocate(total, weights, currency)
    assert len(parts) == len(weights)
    assert sum(parts) == total
    assert all(is_exact(part, currency) for part in parts)
    weight_sum = sum(weights)
    assume(weight_sum > 0)
    for part, weight in zip(parts, weights, strict=True):
        share = abs(total) * weight / weight_sum
        assert abs(abs(part) - share) < unit(currency)
        assert part * total >= 0
        assert weight > 0 or part == 0


@given(st.integers(0, 10**9), weights, currencies)
def test_the_largest_remainders_get_what_is_left(
    units: int, weights: list[Decimal], currency: str
) -> None:
    weight_sum = sum(weights)
    assume(weight_sum > 0)
    parts = allocate(units * unit(currency), weights, currency)
    shares = [units * Fraction(weight) / Fraction(weight_sum) for weight in weights]
    floors = [share // 1 for share in shares]
    extra = [int(part / unit(currency)) - f for part, f in zip(parts, floors, strict=True)]
    assert set(extra) <= {0, 1}
    raised = [(s - f, -i) for i, (s, f) in enumerate(zip(shares, floors, strict=True)) if extra[i]]
    kept = [
        (s - f, -i) for i, (s, f) in enumerate(zip(shares, floors, strict=True)) if not extra[i]
    ]
    assert not raised or not kept or min(raised) > max(kept)


@pytest.mark.parametrize(
    ("total", "given_weights", "currency", "parts"),
    [
        ("10.00", ["1", "1", "1"], "USD", ["3.34", "3.33", "3.33"]),
        ("-10.00", ["1", "1", "1"], "USD", ["-3.34", "-3.33", "-3.33"]),
        ("0.01", ["0", "1", "1"], "USD", ["0.00", "0.01", "0.00"]),
        ("5", ["0", "0"], "JPY", ["5", "0"]),
        # the remainder of each is two thirds, with more digits before it in the last
        ("12", ["1", "1", "16"], "JPY", ["1", "1", "10"]),
        ("1.000", ["19.90", "0.10"], "KWD", ["0.995", "0.005"]),
    ],
)
def test_allocation_by_example(
    total: str, given_weights: list[str], currency: str, parts: list[str]
) -> None:
    result = allocate(Decimal(total), [Decimal(w) for w in given_weights], currency)
    assert [str(part) for part in result] == parts


def test_allocation_refuses_what_it_cannot_split() -> None:
    with pytest.raises(ValueError, match="at least one weight"):
        allocate(Decimal(1), [], "USD")
    with pytest.raises(ValueError, match="not be negative"):
        allocate(Decimal(1), [Decimal(2), Decimal(-1)], "USD")
    with pytest.raises(ValueError, match="not exact in JPY"):
        allocate(Decimal("1.5"), [Decimal(1)], "JPY")


def test_currencies_are_three_letters_with_zero_to_four_digits() -> None:
    assert {len(code) for code in CURRENCIES} == {3}
    assert MINOR_UNITS.keys() <= CURRENCIES
    assert {currency_digits(code) for code in CURRENCIES} == {0, 2, 3, 4}
