"""Signatures and digests as the RFCs give them, and those that are not."""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_api.db.request_redis import RequestRedis
from shop_api.gateway.nonces import NonceBook
from shop_api.gateway.signatures import SignatureChecker, SignedRequest, check_body
from shop_api.kernel.errors import DomainError
from shop_api.kernel.exchange import Exchange

# RFC 9421, B.1.4 and B.2.6
KEY_ID = "test-key-ed25519"
PUBLIC_KEY = b64decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")
INPUT = (
    'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
SIGNATURE = (
    "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WP"
    "pBKRCw==:"
)
BODY = b'{"hello": "world"}'
DIGEST = (
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWX"
    "vJwew==:"
)
ENVIRON = {
    "HTTP_HOST": "example.com",
    "HTTP_DATE": "Tue, 20 Apr 2021 02:07:55 GMT",
    "HTTP_CONTENT_DIGEST": DIGEST,
    "CONTENT_TYPE": "application/json",
    "CONTENT_LENGTH": "18",
    "QUERY_STRING": "param=Value&Pet=dog",
    "HTTP_SIGNATURE_INPUT": INPUT,
    "HTTP_SIGNATURE": SIGNATURE,
    "wsgi.url_scheme": "https",
    "wsgi.input": BytesIO(BODY),
}
CHECKER = SignatureChecker(lambda _name, _seconds: True, 300)


def request_of_the_rfc(**changes: Any) -> Exchange:
    environ = {**ENVIRON, **changes}
    now = datetime.fromtimestamp(1618884473, UTC)
    return Exchange(environ, environ.pop("method", "POST"), environ.pop("path", "/foo"), now)


def test_the_example_of_the_rfc_verifies() -> None:
    found = CHECKER.verify(request_of_the_rfc(), KEY_ID, PUBLIC_KEY)
    assert found.covered_components['"@authority"'] == "example.com"
    # but covers too little for this API
    with pytest.raises(DomainError, match="does not cover @query"):
        CHECKER.check(request_of_the_rfc(), KEY_ID, PUBLIC_KEY)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"path": "/bar"},
        {"HTTP_HOST": "example.org"},
        {"HTTP_DATE": "Tue, 20 Apr 2021 02:07:56 GMT"},
        {"CONTENT_LENGTH": "19"},
        {"CONTENT_TYPE": "text/plain"},
        {"HTTP_SIGNATURE_INPUT": INPUT.replace("1618884473", "1618884474")},
    ],
    ids=str,
)
def test_with_any_part_changed_it_does_not(changes: dict[str, str]) -> None:
    with pytest.raises(DomainError) as refused:
        CHECKER.verify(request_of_the_rfc(**changes), KEY_ID, PUBLIC_KEY)
    assert refused.value.code == "invalid_signature"


@given(st.integers(0, 63), st.integers(1, 255))
def test_with_any_bits_changed_it_does_not(place: int, bits: int) -> None:
    signature = bytearray(b64decode(SIGNATURE[9:-1]))
    signature[place] ^= bits
    changed = f"sig-b26=:{b64encode(signature).decode()}:"
    with pytest.raises(DomainError) as refused:
        CHECKER.verify(request_of_the_rfc(HTTP_SIGNATURE=changed), KEY_ID, PUBLIC_KEY)
    assert refused.value.code == "invalid_signature"


latin = st.text(st.characters(max_codepoint=255), max_size=60)


@given(latin, latin, latin, latin)
def test_whatever_is_sent_is_refused_and_breaks_nothing(
    given_input: str, signature: str, query: str, host: str
) -> None:
    changes = {
        "HTTP_SIGNATURE_INPUT": given_input,
        "HTTP_SIGNATURE": signature,
        "QUERY_STRING": query,
        "HTTP_HOST": host,
    }
    with pytest.raises(DomainError) as refused:
        CHECKER.verify(request_of_the_rfc(**changes), KEY_ID, PUBLIC_KEY)
    assert refused.value.code == "invalid_signature"


@given(latin)
def test_a_path_is_signed_in_its_shortest_encoding(path: str) -> None:
    url = SignedRequest(request_of_the_rfc(path=f"/{path}", QUERY_STRING="")).url
    assert url.isascii()
    assert url.startswith("https://example.com/")
    assert "?" not in url


def test_digests_of_the_rfc_are_of_their_bodies() -> None:
    check_body(DIGEST, BODY)
    # RFC 9530, B.1
    check_body("sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:", b'{"hello": "world"}\n')
    check_body("", b"")


@pytest.mark.parametrize(
    ("digest", "body", "code"),
    [
        (DIGEST, BODY + b" ", "content_digest_mismatch"),
        (DIGEST, b"", "content_digest_mismatch"),
        ("sha-256=:AAAA:", BODY, "content_digest_mismatch"),
        ("md5=:AAAA:", BODY, "content_digest_mismatch"),
        ("x", BODY, "content_digest_mismatch"),
        ("", BODY, "invalid_signature"),
    ],
)
def test_other_digests_are_not(digest: str, body: bytes, code: str) -> None:
    with pytest.raises(DomainError) as refused:
        check_body(digest, body)
    assert refused.value.code == code


@pytest.fixture
def away() -> Iterator[RequestRedis]:
    # nobody listens there
    found = RequestRedis("redis://127.0.0.1:1")
    yield found
    found.close()


def test_without_redis_no_nonce_is_believed(away: RequestRedis) -> None:
    book = NonceBook(away)
    for _ in range(5):
        with pytest.raises(DomainError) as refused:
            book("nonce", 10)
        assert refused.value.code == "replay_check_unavailable"
        assert refused.value.retry_after_seconds == 1
