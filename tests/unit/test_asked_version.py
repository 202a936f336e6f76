"""Which version a request asks for, by Accept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_api.gateway.bounds import version_of
from shop_api.kernel.api_versions import BY_NAME, NEWEST, OLDEST
from shop_api.kernel.errors import DomainError

V1 = "application/vnd.shop.v1+json"
OLD = f"{V1}; version={OLDEST}"


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        (V1, NEWEST),
        (OLD, OLDEST),
        (f"{V1};version={OLDEST}", OLDEST),
        (f'{V1}; Version="{OLDEST}"', OLDEST),
        (f"APPLICATION/VND.SHOP.V1+JSON; version={OLDEST}", OLDEST),
        (f"{V1}; version={NEWEST}", NEWEST),
        # of equals what says most
        (f"*/*, {OLD}", OLDEST),
        (f"application/json, {OLD}", OLDEST),
        (f"{V1}, {OLD}", OLDEST),
        # what is wanted more
        (f"{OLD};q=0.5, application/json", NEWEST),
        (f"{OLD};q=0.5, application/json;q=0.4", OLDEST),
        (f"{V1}; version=2020-01-01, {OLD};q=0.1", OLDEST),
        (f"application/vnd.shop.v2+json, {OLD}", OLDEST),
        (f"{OLD};q=0, */*;q=0.1", NEWEST),
        (f"{V1}; version=2020-01-01, */*", NEWEST),
    ],
)
def test_the_version_wanted_most_is_taken(accept: str, version: str) -> None:
    assert version_of(accept) == version


@pytest.mark.parametrize(
    ("accept", "told"),
    [
        (f"{V1}; version=2020-01-01", "There is no version 2020-01-01 any more. The oldest is"),
        (f"{V1}; version=2999-01-01", "There is no version 2999-01-01. There are:"),
        (f"{V1}; version=2026-11-02", "There is no version 2026-11-02. There are:"),
        (f"{V1}; version=latest", "There is no such version. There are:"),
        (f"{V1}; version=", "There is no such version. There are:"),
        (f"{OLD};q=0", "This API speaks version 1"),
        (f"{OLD};q=much", "This API speaks version 1"),
        (f"{OLD};q=nan", "This API speaks version 1"),
        (f"{OLD};q=2", "This API speaks version 1"),
        ("application/vnd.shop.v2+json", "This API speaks version 1"),
        # a version that nobody would notice was not taken
        (f"application/json; version={OLDEST}", "This API speaks version 1"),
        (f"application/vnd.shop+json; version={OLDEST}", "This API speaks version 1"),
        (f"{V1}; v={OLDEST}", "This API speaks version 1"),
        (f"{V1}, version={OLDEST}", "This API speaks version 1"),
        ("text/csv, application/vnd.shop.v2+json", "This API speaks version 1"),
    ],
)
def test_a_version_that_is_none_is_refused_with_those_there_are(accept: str, told: str) -> None:
    with pytest.raises(DomainError) as refused:
        version_of(accept)
    assert refused.value.code == "unknown_version"
    assert told in refused.value.detail
    if "There are" in told:
        assert all(name in refused.value.detail for name in BY_NAME)


@given(st.text(max_size=60))
def test_nothing_sent_makes_anything_but_a_version_or_a_refusal(rest: str) -> None:
    code = None
    try:
        assert version_of(f"{V1};{rest}") in BY_NAME
    except DomainError as error:
        code = error.code
    assert code in (None, "unknown_version")
