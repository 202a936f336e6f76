"""Entity tags: of versions and bytes, compared as RFC 9110 says."""

from hypothesis import given
from hypothesis import strategies as st

from shop_api.kernel.etag import CODINGS, make_etag, matches_version, matching_tag, with_coding

versions = st.integers(0, 2**31)


@given(st.binary(max_size=50), st.binary(max_size=50), versions, versions)
def test_a_tag_is_the_same_only_for_the_same(
    one: bytes, other: bytes, version: int, later: int
) -> None:
    same = one == other and version == later
    assert (make_etag(one, version) == make_etag(other, later)) == same


@given(st.binary(max_size=50), versions, st.sampled_from(CODINGS))
def test_a_coding_is_told_apart_and_matched(body: bytes, version: int, coding: str) -> None:
    etag = make_etag(body, version)
    coded = with_coding(etag, coding)
    assert coded != etag
    assert matching_tag(f'"x", W/{coded}', etag) == coded
    assert matching_tag('"x"', etag) is None
    assert matches_version(coded, version)


@given(versions, versions)
def test_if_match_holds_for_the_version_and_no_other(version: int, other: int) -> None:
    etag = make_etag(b"body", version)
    assert matches_version(etag, other) == (version == other)
    assert not matches_version(f"W/{etag}", version)
    assert matches_version("*", other)


@given(st.text(max_size=40), versions)
def test_any_header_is_read_without_fail(header: str, version: int) -> None:
    etag = make_etag(b"body", version)
    assert matching_tag(header, etag) in (None, etag, *(with_coding(etag, c) for c in CODINGS))
    assert matches_version(header, version) in (True, False)
