"""Single values of requests: read exactly, or refused with a sentence."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from shop_api.kernel.clock import format_instant
from shop_api.kernel.money import is_exact
from shop_api.web.fields import (
    Email,
    Flag,
    FlagParameter,
    Id,
    Instant,
    Money,
    MoneyParameter,
    Text,
    Whole,
    WholeParameter,
    matching,
)

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=20),
    st.integers(),
    st.decimals(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@pytest.mark.parametrize(
    "field",
    [
        Text(),
        Email(),
        Money(),
        MoneyParameter(),
        Whole(),
        WholeParameter(0, 10),
        Flag(),
        FlagParameter(),
        Instant(),
        Id(),
    ],
    ids=lambda field: type(field).__name__,
)
def test_anything_is_read_or_refused(field: Any) -> None:
    @given(JUNK)
    def check(value: Any) -> None:
        with suppress(ValidationError):
            field.deserialize(value)

    check()


@given(st.decimals(0, 10**14 - 1, places=4, allow_nan=False))
def test_amounts_keep_every_digit(amount: Decimal) -> None:
    assert Money().deserialize(amount) == amount
    assert MoneyParameter().deserialize(f"{amount:f}") == amount


@pytest.mark.parametrize("amount", ["0.00001", "1E-999999", "1.99999"])
def test_how_many_decimals_there_may_be_is_the_currencys_to_say(amount: str) -> None:
    assert not is_exact(Money().deserialize(Decimal(amount)), "UYW")
    if "E" not in amount:
        with pytest.raises(ValidationError, match="At most 4 decimals: no currency has more"):
            MoneyParameter().deserialize(amount)


@pytest.mark.parametrize(
    "amount", ["1E+14", "-0.0001", "NaN", "Infinity", "1E+999999", "-1E-999999"]
)
def test_amounts_out_of_bounds_are_refused(amount: str) -> None:
    with pytest.raises(ValidationError):
        Money().deserialize(Decimal(amount))
    with pytest.raises(ValidationError):
        MoneyParameter().deserialize(amount)


@pytest.mark.parametrize(
    ("written", "amount"), [("1e3", "1000"), ("1.5E+1", "15"), ("250e-2", "2.50"), ("0e0", "0")]
)
def test_a_parameter_is_an_amount_as_json_writes_it(written: str, amount: str) -> None:
    assert MoneyParameter().deserialize(written) == Decimal(amount)


@given(st.timedeltas(timedelta(0), timedelta(days=365 * 9990)))
def test_instants_keep_their_microsecond(since: timedelta) -> None:
    instant = datetime(1, 1, 3, tzinfo=UTC) + since
    assert Instant().deserialize(instant.isoformat()) == instant
    assert Instant().deserialize(format_instant(instant)) == instant


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-01T00:00:00",
        "2026-01-01",
        "2026-01-01T00:00:00+25:00",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:01Z",
        "2026-W01-1T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "٢٠٢٦-01-01T00:00:00Z",
        "now",
    ],
)
def test_times_that_are_no_instants_are_refused(value: str) -> None:
    with pytest.raises(ValidationError):
        Instant().deserialize(value)


@pytest.mark.parametrize("value", [1, 0, -5, Decimal("3.0"), Decimal("1E+2")])
def test_whole_numbers(value: Any) -> None:
    assert Whole().deserialize(value) == int(value)


@pytest.mark.parametrize("value", [Decimal("0.5"), True, "1", 2**31, Decimal("1E+40"), None])
def test_other_numbers_are_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        Whole().deserialize(value)


def test_a_pattern_is_for_the_whole_value() -> None:
    validator = matching("^[a-z]+$", "Must be small letters.")
    assert validator("abc") == "abc"
    for value in ("abc\n", "\nabc", "abc1", ""):
        with pytest.raises(ValidationError, match=r"Must be small letters\."):
            validator(value)
