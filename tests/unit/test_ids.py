"""UUIDv7: version, variant, time, order; and parsing of what clients send."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_api.kernel.ids import new_id, parse_id

NOW = datetime(2026, 3, 15, 12, 0, 0, 123456, tzinfo=UTC)
instants = st.integers(0, 7_258_118_400_000_000).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


def millisecond(value: UUID) -> int:
    return value.int >> 80


@given(instants)
def test_version_variant_and_time(now: datetime) -> None:
    value = new_id(now)
    assert value.version == 7
    assert value.variant == "specified in RFC 4122"
    assert millisecond(value) == int(now.timestamp() * 1000)


def test_ids_of_one_instant_increase_and_keep_its_time() -> None:
    values = [new_id(NOW) for _ in range(10_000)]
    assert values == sorted(values)
    assert len(set(values)) == len(values)
    assert {millisecond(value) for value in values} == {int(NOW.timestamp() * 1000)}


def test_ids_of_one_instant_increase_between_ids_of_others() -> None:
    """Concurrent requests each have their own `now`; imports ask for instants long gone."""
    others = [NOW - timedelta(days=900), NOW + timedelta(milliseconds=3)]
    values = []
    for index in range(1_000):
        values.append(new_id(NOW))
        new_id(others[index % 2])
    assert values == sorted(values)


def test_ids_of_later_instants_are_greater() -> None:
    values = [new_id(NOW + timedelta(milliseconds=step)) for step in range(100)]
    assert values == sorted(values)


def test_threads_get_different_ids_each_in_order() -> None:
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: [new_id(NOW) for _ in range(2_000)], range(8)))
    assert len({value for batch in batches for value in batch}) == 16_000
    for batch in batches:
        assert batch == sorted(batch)


@given(st.uuids())
def test_the_canonical_form_is_parsed(value: UUID) -> None:
    assert parse_id(str(value)) == value
    assert parse_id(str(value).upper()) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "12345678",
        "{12345678-1234-7234-8234-123456789012}",
        "urn:uuid:12345678-1234-7234-8234-123456789012",
        "12345678123472348234123456789012",
        "12345678-1234-7234-8234-12345678901",
        "12345678-1234-7234-8234-12345678901g",
        "1234567-81234-7234-8234-123456789012",
        " 12345678-1234-7234-8234-123456789012",
        "12345678-1234-7234-8234-12345678901２",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    assert parse_id(text) is None
