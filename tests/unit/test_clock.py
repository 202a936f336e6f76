"""Instants as whole numbers, to the microsecond and back."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shop_api.kernel.clock import from_microseconds, microseconds


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_is_the_same_when_it_comes_back(instant: datetime) -> None:
    assert from_microseconds(microseconds(instant)) == instant
