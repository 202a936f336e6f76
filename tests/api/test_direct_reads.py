"""Reads answered without Flask: whatever is asked, the answer is the one Flask would have given."""

from typing import Any

import pytest

from shop_api.app import App
from shop_api.gateway.application import Application
from shop_api.kernel.exchange import Answer, Exchange
from tests.fixtures.api import Answered, ApiClient, Shop, open_shop

PRODUCTS = "/api/v1/products"
# what differs between any two answers
OWN_HEADERS = ("X-Request-ID", "RateLimit")
CSV = {"Accept": "text/csv"}
APP_SETTINGS = {"cache_bytes": 0}


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Shop:
    """A shop with a few products."""
    shop = open_shop(api)
    for number in range(3):
        shop.product(name=f"P{number}", status="active", tags=[f"t{number}"])
    return shop


def application(app: App) -> Application:
    stage = app.gateway.stages[-1][1]
    assert isinstance(stage, Application)
    return stage


def asked_both_ways(
    api: ApiClient,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    method: str = "GET",
    **options: Any,
) -> tuple[Answered, Answered, bool]:
    """The answer, Flask's answer, and whether the first was given without Flask."""
    stage = application(api.app)
    direct = stage.answer_directly
    given: list[Answer | None] = []

    def watched(exchange: Exchange) -> Answer | None:
        # a refusal raises, and is as direct as an answer
        given.append(Answer(500, [], b""))
        given[-1] = direct(exchange)
        return given[-1]

    with monkeypatch.context() as patch:
        patch.setattr(stage, "answer_directly", watched)
        ours = api.call(method, path, **options)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "answer_directly", lambda _: None)
        flask = api.call(method, path, **options)
    return ours, flask, bool(given) and given[-1] is not None


def same(ours: Answered, flask: Answered) -> bool:
    def told(answered: Answered) -> dict[str, Any]:
        headers = {k: v for k, v in answered.headers.items() if k not in OWN_HEADERS}
        body = answered.body
        if answered.status >= 400:
            body = repr({k: v for k, v in answered.json.items() if k != "request_id"}).encode()
        return {"status": answered.status, "headers": headers, "body": body}

    return told(ours) == told(flask)


# a UUIDv7 of nothing
UNKNOWN = "01936d2e-7c1a-7b3f-8e5d-0a1b2c3d4e5f"

QUERIES: list[dict[str, Any]] = [
    {},
    {"limit": 2},
    {"limit": 2, "sort": "price", "order": "asc"},
    {"last": 1},
    {"status": ["active", "draft"], "tags": "t1"},
    {"search": "P1", "include_total": "true"},
    {"limit": 101},
    {"limit": [1, 2]},
    {"colour": "red"},
    {"after": "damaged"},
]


@pytest.mark.parametrize("query", QUERIES)
def test_lists(shop: Shop, monkeypatch: pytest.MonkeyPatch, query: dict[str, Any]) -> None:
    ours, flask, is_direct = asked_both_ways(shop.api, monkeypatch, PRODUCTS, query=query)
    assert is_direct
    assert same(ours, flask), (ours, flask)


def test_one(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    product = shop.product()
    path = f"{PRODUCTS}/{product['id']}"
    etag = shop.api.get(path).headers["ETag"]
    asked: list[dict[str, Any]] = [{}, *({"headers": h} for h in ({"If-None-Match": etag}, CSV))]
    asked += [{"query": q} for q in ({"colour": "red"}, {"real_time": "true"}, {"real_time": "1"})]
    for options in asked:
        ours, flask, is_direct = asked_both_ways(shop.api, monkeypatch, path, **options)
        assert is_direct
        assert same(ours, flask), options


@pytest.mark.parametrize("segment", [UNKNOWN, UNKNOWN.upper()])
def test_an_unknown_one(shop: Shop, monkeypatch: pytest.MonkeyPatch, segment: str) -> None:
    ours, flask, is_direct = asked_both_ways(shop.api, monkeypatch, f"{PRODUCTS}/{segment}")
    assert is_direct
    assert ours.status == 404
    assert same(ours, flask)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (f"{PRODUCTS}/7", {}),
        (f"{PRODUCTS}/{{}}/variants", {}),
        (f"{PRODUCTS}/{{}}/", {}),
        (f"{PRODUCTS}/{{}}", {"method": "HEAD"}),
        (PRODUCTS, {"method": "OPTIONS"}),
    ],
)
def test_what_is_left_to_flask(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, path: str, options: dict[str, Any]
) -> None:
    asked = path.format(shop.product()["id"])
    ours, flask, is_direct = asked_both_ways(shop.api, monkeypatch, asked, **options)
    assert not is_direct
    assert same(ours, flask)


def test_who_may_not(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    created = shop.api.post("/api/v1/api_keys", {"name": "k", "scopes": ["orders:read"]})
    other = shop.api.with_token(created.json["key"])
    for api, status in ((shop.api.with_token(None), 401), (other, 403)):
        ours, flask, is_direct = asked_both_ways(api, monkeypatch, PRODUCTS)
        assert is_direct
        assert ours.status == status
        assert same(ours, flask)


def test_a_publishable_key_sees_what_it_may(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    created = shop.api.post("/api/v1/api_keys", {"name": "p", "kind": "publishable"})
    page = shop.api.with_token(created.json["key"])
    shop.product(name="hidden", status="draft")
    ours, flask, is_direct = asked_both_ways(page, monkeypatch, PRODUCTS)
    assert is_direct
    assert same(ours, flask)
    assert {product["status"] for product in ours.json["data"]} == {"active"}
