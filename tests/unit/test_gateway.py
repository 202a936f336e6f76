"""Stages of the gateway on their own: identities, codings, keys."""

import re
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_api.gateway.compression import choose_coding
from shop_api.gateway.idempotency import make_key
from shop_api.gateway.request_identity import RequestIdentity
from shop_api.kernel.errors import DomainError
from shop_api.kernel.exchange import Answer, Exchange

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def exchange(method: str = "GET", path: str = "/", **headers: str) -> Exchange:
    environ: dict[str, Any] = {f"HTTP_{name}": value for name, value in headers.items()}
    environ |= {"wsgi.input": BytesIO(), "wsgi.url_scheme": "http"}
    return Exchange(environ, method, path, NOW)


@pytest.mark.parametrize(
    ("traceparent", "trace_id"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"00-{TRACE}-00f067aa0ba902b7-00", TRACE),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", ""),
        (f"00-{TRACE}-00f067aa0ba902b7", ""),
        (f"00-{TRACE}-00f067aa0ba902b7-01-extra", ""),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", ""),
        # what a later version begins with is read as this one's
        (f"cc-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"cc-{TRACE}-00f067aa0ba902b7-01-extra", TRACE),
        (f"cc-{TRACE}-00f067aa0ba902b7-01extra", ""),
        ("", ""),
        ("\x00", ""),
    ],
)
def test_a_trace_is_taken_up_only_as_the_standard_writes_it(
    traceparent: str, trace_id: str
) -> None:
    asked = exchange(TRACEPARENT=traceparent)
    RequestIdentity(lambda _: Answer(200, [], b""))(asked)
    assert asked.trace_id == trace_id


@given(st.text(max_size=140))
def test_any_request_id_leaves_as_itself_or_as_a_new_one(given_id: str) -> None:
    asked = exchange(X_REQUEST_ID=given_id)
    answer = RequestIdentity(lambda _: Answer(200, [], b""))(asked)
    echoed = answer.header("X-Request-ID")
    assert echoed == asked.request_id
    if re.fullmatch(r"[A-Za-z0-9._-]{1,128}", given_id):
        assert echoed == given_id
    else:
        assert re.fullmatch(r"[0-9a-f]{32}", asked.request_id)


@given(st.text(max_size=60))
def test_any_accept_encoding_chooses_a_coding_or_none(accepted: str) -> None:
    assert choose_coding(accepted) in (None, "zstd", "br", "gzip")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["zstd", "br", "gzip", "identity", "deflate"]), st.integers(0, 1000)
        ),
        unique_by=lambda item: item[0],
    )
)
def test_the_coding_of_highest_quality_is_chosen(wanted: list[tuple[str, int]]) -> None:
    header = ", ".join(f"{name};q={quality / 1000:.3f}" for name, quality in wanted)
    known = {name: q for name, q in wanted if name in ("zstd", "br", "gzip") and q > 0}
    chosen = choose_coding(header)
    if not known:
        assert chosen is None
    else:
        assert chosen is not None
        assert known[chosen] == max(known.values())


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_different_keys_never_meet(one: str, other: str) -> None:
    def digest(key: str) -> bytes | None:
        try:
            return make_key(key, exchange("POST", "/api/v1/orders"), b"{}", (b"k" * 32,)).key_digest
        except DomainError:
            return None

    def bare(key: str) -> str:
        stripped = key.strip()
        is_quoted = len(stripped) >= 2 and stripped[0] == stripped[-1] == '"'
        return stripped[1:-1] if is_quoted else stripped

    first, second = digest(one), digest(other)
    if first is not None and second is not None:
        assert (first == second) == (bare(one) == bare(other))
