"""Keys that must come with a signature (RFC 9421), and what a signature proves."""

import time
from dataclasses import dataclass
from typing import Any

import pytest
from redis import Redis

from shop_api.app import App
from tests.factories.signing import COVERED, Signer, content_digest
from tests.fixtures.api import Answered, ApiClient, Shop, encode

# what becomes of a credential is seen at once
APP_SETTINGS = {"credential_cache_seconds": 0.0}

KEYS = "/api/v1/api_keys"
PRODUCTS = "/api/v1/products"
THING = {"name": "Thing", "price": 5}


@dataclass
class Service:
    """A service that signs its requests."""

    api: ApiClient
    signer: Signer
    key_id: str

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answered:
        return self.signer.call(self.api, method, path, body, **options)


def make_service(shop: Shop, **body: Any) -> Service:
    signer = Signer("")
    made = shop.api.post(KEYS, {"name": "service", "public_key": signer.public_key, **body})
    assert made.status == 201, made.body
    signer.key_id = made.json["id"]
    return Service(shop.api.with_token(made.json["key"]), signer, made.json["id"])


@pytest.fixture
def service(shop: Shop) -> Service:
    return make_service(shop)


def is_refused(answered: Answered, code: str, status: int = 401) -> None:
    assert (answered.status, answered.json.get("code")) == (status, code), answered.body


def test_signed_requests_are_served(service: Service) -> None:
    assert service.call("GET", PRODUCTS).status == 200
    assert service.call("GET", PRODUCTS, query={"limit": 2, "search": "é &"}).status == 200
    made = service.call("POST", PRODUCTS, THING)
    assert made.status == 201
    path = f"{PRODUCTS}/{made.json['id']}"
    assert service.call("PATCH", path, {"price": 6}).status == 200
    assert service.call("DELETE", path).status == 204


def test_the_key_alone_opens_nothing(service: Service) -> None:
    for answered in (
        service.api.get(PRODUCTS),
        service.api.post(PRODUCTS, THING),
        service.api.post("/api/v1/batch", {"requests": [{"method": "GET", "path": PRODUCTS}]}),
        service.api.post("/api/v1/realtime/tickets"),
    ):
        is_refused(answered, "signature_required")
        assert answered.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_signature_without_the_key_opens_nothing(service: Service) -> None:
    is_refused(
        service.signer.call(service.api.with_token(None), "GET", PRODUCTS), "unauthenticated"
    )


def test_whatever_is_changed_on_the_way_is_refused(service: Service) -> None:
    signer, api = service.signer, service.api
    headers = signer.headers("POST", PRODUCTS, encode(THING))
    is_refused(api.call("PUT", PRODUCTS, THING, headers=headers), "invalid_signature")
    is_refused(api.post("/api/v1/customers", THING, headers=headers), "invalid_signature")
    more = api.post(PRODUCTS, THING, query={"dry_run": "true"}, headers=headers)
    is_refused(more, "invalid_signature")
    other = {**THING, "price": 1}
    digest = {**headers, "Content-Digest": content_digest(encode(other))}
    is_refused(api.post(PRODUCTS, other, headers=digest), "invalid_signature")
    # the last one consumes the nonce: the signature is right, the body is not
    is_refused(api.post(PRODUCTS, other, headers=headers), "content_digest_mismatch", 400)
    stranger = Signer(service.key_id)
    is_refused(stranger.call(api, "GET", PRODUCTS), "invalid_signature")


def test_a_request_is_served_once(service: Service) -> None:
    headers = service.signer.headers("GET", PRODUCTS)
    assert service.api.get(PRODUCTS, headers=headers).status == 200
    is_refused(service.api.get(PRODUCTS, headers=headers), "signature_replayed")
    nonce = "the-same-for-two"
    assert service.call("GET", PRODUCTS, nonce=nonce).status == 200
    is_refused(service.call("GET", f"{PRODUCTS}/x", nonce=nonce), "signature_replayed")


def test_a_nonce_is_of_its_key(service: Service, shop: Shop) -> None:
    other = make_service(shop)
    for one in (service, other):
        assert one.call("GET", PRODUCTS, nonce="the-same-for-both").status == 200


@pytest.mark.parametrize("seconds", [-290, 290])
def test_clocks_may_differ(app: App, service: Service, redis_client: Redis, seconds: int) -> None:
    created = int(time.time()) + seconds
    assert service.call("GET", PRODUCTS, created=created).status == 200
    (name,) = redis_client.keys("nonce:*")
    # as long as it would be believed
    assert 0 <= redis_client.ttl(name) - (300 + seconds) <= 3


@pytest.mark.parametrize("seconds", [-310, 310])
def test_but_not_by_more_than_the_setting(service: Service, seconds: int) -> None:
    answered = service.call("GET", PRODUCTS, created=int(time.time()) + seconds)
    is_refused(answered, "signature_expired")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"nonce": None}, "invalid_signature"),
        ({"nonce": ""}, "invalid_signature"),
        ({"nonce": "n" * 129}, "invalid_signature"),
        ({"created": None}, "invalid_signature"),
        ({"created": 10**14}, "signature_expired"),
        ({"created": "now"}, "invalid_signature"),
        ({"keyid": None}, "invalid_signature"),
        ({"keyid": "another"}, "invalid_signature"),
        ({"alg": "hmac-sha256"}, "invalid_signature"),
        ({"expires": 1}, "invalid_signature"),
        ({"covered": ("@method", "@path")}, "invalid_signature"),
        ({"covered": ("@method", "@query")}, "invalid_signature"),
        ({"covered": ("@path", "@query")}, "invalid_signature"),
        ({"covered": ()}, "invalid_signature"),
        ({"covered": (*COVERED, "@path")}, "invalid_signature"),
    ],
)
def test_a_signature_must_say_what_protects(
    service: Service, changes: dict[str, Any], code: str
) -> None:
    is_refused(service.call("GET", PRODUCTS, **changes), code)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"created": None}, "lacks `created`"),
        ({"keyid": None}, "`keyid` of the signature must be the id"),
        ({"keyid": "another"}, "`keyid` of the signature must be the id"),
        ({"alg": "hmac-sha256"}, "`alg` of the signature must be ed25519"),
        ({"covered": ("@path", "@query")}, "does not cover @method"),
    ],
)
def test_what_is_wrong_with_a_signature_is_named(
    service: Service, changes: dict[str, Any], words: str
) -> None:
    answered = service.call("GET", PRODUCTS, **changes)
    is_refused(answered, "invalid_signature")
    assert words in answered.json["detail"]


@pytest.mark.parametrize("name", ["Signature-Input", "Signature"])
def test_a_header_that_cannot_be_read_is_named(service: Service, name: str) -> None:
    headers = {**service.signer.headers("GET", PRODUCTS), name: "sig=("}
    answered = service.api.get(PRODUCTS, headers=headers)
    is_refused(answered, "invalid_signature")
    assert answered.json["detail"].startswith(f"{name} is missing or cannot be read.")


def test_a_signature_ends_when_its_client_said(service: Service) -> None:
    now = int(time.time())
    late = service.call("GET", PRODUCTS, created=now - 20, expires=now - 5)
    is_refused(late, "invalid_signature")
    assert "has expired" in late.json["detail"]
    assert service.call("GET", PRODUCTS, created=now - 20, expires=now + 60).status == 200


def test_more_may_be_covered_and_alg_may_be_left_out(service: Service) -> None:
    sent = {"X-Request-ID": "covered-by-it"}
    covered = (*COVERED, "x-request-id")
    answered = service.call("GET", PRODUCTS, sent=sent, covered=covered, alg=None)
    assert answered.status == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Signature", "sig=:AAAA:"),
        ("Signature", "other=:AAAA:"),
        ("Signature", "sig"),
        ("Signature", ""),
        ("Signature", None),
        ("Signature-Input", None),
        ("Signature-Input", 'sig=("@method")'),
        ("Signature-Input", "sig=()"),
        ("Signature-Input", "\x80"),
        ("Signature-Input", "sig=(" + " ".join(['"a"'] * 2000) + ")"),
    ],
)
def test_what_is_no_signature_is_refused(service: Service, name: str, value: str | None) -> None:
    headers: dict[str, Any] = {**service.signer.headers("GET", PRODUCTS), name: value}
    sent = {name: value for name, value in headers.items() if value is not None}
    is_refused(service.api.get(PRODUCTS, headers=sent), "invalid_signature")


def test_two_signatures_are_one_too_many(service: Service) -> None:
    one = service.signer.headers("GET", PRODUCTS)
    two = service.signer.headers("GET", PRODUCTS)
    both = {name: f"{one[name]}, x{two[name]}" for name in ("Signature-Input", "Signature")}
    is_refused(service.api.get(PRODUCTS, headers=both), "invalid_signature")


def test_a_body_needs_its_digest(service: Service) -> None:
    headers = service.signer.headers("POST", PRODUCTS)
    is_refused(service.api.post(PRODUCTS, THING, headers=headers), "invalid_signature")
    unsigned = service.signer.headers("POST", PRODUCTS)
    unsigned["Content-Digest"] = content_digest(encode(THING))
    is_refused(service.api.post(PRODUCTS, THING, headers=unsigned), "invalid_signature")


def test_a_request_sent_again_is_signed_anew_and_replayed(service: Service) -> None:
    first = service.call("POST", PRODUCTS, THING, key="one")
    again = service.call("POST", PRODUCTS, THING, key="one")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.body == first.body


def test_a_signed_batch_is_signed_whole(service: Service) -> None:
    requests = [
        {"method": "GET", "path": f"{PRODUCTS}?limit=1"},
        {"method": "POST", "path": PRODUCTS, "body": THING},
    ]
    answered = service.call("POST", "/api/v1/batch", {"requests": requests})
    assert [one["status"] for one in answered.json["responses"]] == [200, 201]


def test_a_key_may_be_used_either_way(shop: Shop) -> None:
    service = make_service(shop, requires_signature=False)
    assert service.api.get(PRODUCTS).status == 200
    assert service.call("GET", PRODUCTS).status == 200
    # but a wrong signature is none
    is_refused(Signer(service.key_id).call(service.api, "GET", PRODUCTS), "invalid_signature")


def test_the_key_is_changed_and_rotated_with_its_binding(shop: Shop, service: Service) -> None:
    path = f"{KEYS}/{service.key_id}"
    shown = shop.api.get(path).json
    assert shown["public_key"] == service.signer.public_key
    assert shown["requires_signature"] is True
    rotated = shop.api.post(f"{path}/rotate").json
    assert rotated["public_key"] == service.signer.public_key
    is_refused(shop.api.with_token(rotated["key"]).get(PRODUCTS), "signature_required")
    # the present private key signs for the key that follows, under its id
    following = Signer(rotated["id"], service.signer.private_key)
    assert following.call(shop.api.with_token(rotated["key"]), "GET", PRODUCTS).status == 200
    other = Signer(service.key_id)
    shop.api.patch(path, {"public_key": other.public_key})
    is_refused(service.call("GET", PRODUCTS), "invalid_signature")
    assert other.call(service.api, "GET", PRODUCTS).status == 200
    still = shop.api.patch(path, {"public_key": None})
    is_refused(still, "public_key_required", 422)
    freed = shop.api.patch(path, {"public_key": None, "requires_signature": False})
    assert (freed.json["public_key"], freed.json["requires_signature"]) == (None, False)
    assert service.api.get(PRODUCTS).status == 200


def test_only_secret_keys_are_bound_and_to_something(shop: Shop) -> None:
    public_key = Signer("").public_key
    refused: list[tuple[dict[str, Any], str]] = [
        ({"kind": "publishable", "public_key": public_key}, "binding_not_allowed"),
        ({"kind": "publishable", "certificate_fingerprint": "0" * 64}, "binding_not_allowed"),
        ({"requires_signature": True}, "public_key_required"),
        ({"public_key": public_key[:-2] + "B="}, "validation_failed"),
        ({"public_key": "x"}, "validation_failed"),
        ({"certificate_fingerprint": "A" * 64}, "validation_failed"),
    ]
    for body, code in refused:
        is_refused(shop.api.post(KEYS, {"name": "program", **body}), code, 422)


def test_a_copied_key_takes_nothing_of_the_tenants_quota(service: Service, shop: Shop) -> None:
    for _ in range(3):
        refused = service.api.get(PRODUCTS)
        is_refused(refused, "signature_required")
        assert refused.headers["RateLimit-Policy"].startswith('"address"')
    assert shop.api.get(PRODUCTS).headers["RateLimit-Policy"].startswith('"requests"')
