"""Batches: each request as if it had come alone, and no way out of the API."""

import json
import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.domains.batch import service
from shop_api.domains.batch.service import BatchRunner
from shop_api.kernel.clock import utc_now
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Exchange
from tests.fixtures.api import Answered, ApiClient, Shop

BATCH = "/api/v1/batch"
CATEGORIES = "/api/v1/categories"
CUT_SHORT = DomainError(ErrorKind.UNAVAILABLE, "cut_short", "Cut short.", retry_after_seconds=1)


def send(api: ApiClient, *requests: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    answered = api.post(BATCH, {"requests": list(requests)}, **options)
    assert answered.status == 200, answered.body
    found: list[dict[str, Any]] = answered.json["responses"]
    return found


def get(path: str, **rest: Any) -> dict[str, Any]:
    return {"method": "GET", "path": path, **rest}


def category(slug: str, **rest: Any) -> dict[str, Any]:
    return {"method": "POST", "path": CATEGORIES, "body": {"name": "C", "slug": slug}, **rest}


def slugs(shop: Shop) -> list[str]:
    return sorted(one["slug"] for one in shop.api.get(CATEGORIES).json["data"])


def test_answers_come_in_order_and_are_what_each_would_get_alone(shop: Shop) -> None:
    product = shop.product(price="19.90")
    path = f"/api/v1/products/{product['id']}"
    alone = shop.api.get(path)
    answers = send(
        shop.api,
        get(path),
        get(path, headers={"If-None-Match": alone.headers["ETag"]}),
        get("/api/v1/products/1"),
        get("/api/v1/products?limit=101"),
        get("/api/v1/nowhere"),
        category("a"),
        {"method": "PATCH", "path": path, "body": {"name": "x"}, "headers": {"If-Match": '"9-x"'}},
    )
    assert [answer["status"] for answer in answers] == [200, 304, 400, 400, 404, 201, 412]
    assert answers[0]["body"] == alone.json
    assert answers[0]["headers"]["ETag"] == alone.headers["ETag"]
    assert answers[1]["body"] is None
    assert [a["body"]["code"] for a in answers[2:5]] == [
        "invalid_id",
        "invalid_parameter",
        "route_not_found",
    ]
    assert answers[5]["headers"]["Location"] == f"{CATEGORIES}/{answers[5]['body']['id']}"
    assert slugs(shop) == ["a"]


def test_amounts_keep_their_digits(shop: Shop) -> None:
    product = shop.product(price="19.90")
    body = {"requests": [get(f"/api/v1/products/{product['id']}")]}
    assert b'"price":19.90,' in shop.api.post(BATCH, body).body
    made = {"method": "POST", "path": "/api/v1/products", "body": {"name": "x", "price": 1.10}}
    answered = shop.api.post(BATCH, {"requests": [made]})
    assert b'"price":1.10,' in answered.body


def test_one_that_fails_takes_no_other_with_it(shop: Shop) -> None:
    answers = send(shop.api, category("a"), category("a", body={"name": "no slug"}), category("b"))
    assert [answer["status"] for answer in answers] == [201, 422, 201]
    assert slugs(shop) == ["a", "b"]


@pytest.mark.parametrize(
    "path",
    [
        "http://elsewhere.example/api/v1/products",
        "https://elsewhere.example",
        "//elsewhere.example/api/v1/products",
        "/\\elsewhere.example",
        "/api/v1//products",
        "/api/v1/../v1/products",
        "/api/v1/..",
        "/api/v1/products/..",
        "/api/v1/./products",
        "/api/v1/%2e%2e/v1/products",
        "/api/v1/%2E./products",
        "/api/v1/products%2f1",
        "/api/v1/bat%63h",
        "/api/v1/products%00",
        "/api/v1/products\r\nX-Evil: 1",
        "/api/v1/products\t",
        "/api/v1/products?a=1\r\nX-Evil: 1",
        "/api/v1/products?a=1#b",
        "/api/v1/products?a=\u0661",
        "/api/v1/prod\u00fccts",
        "/api/v1/products;x=1",
        "/api/v1/products@elsewhere.example",
        "/api/v1/products/",
        "/api/v1",
        "/api/v1?x=1",
        "/api/v2/products",
        "/API/v1/products",
        "/health/live",
        "/",
        "products",
        "",
        "?",
        BATCH,
        f"{BATCH}?x=1",
        f"{BATCH}/",
    ],
)
def test_a_path_that_leaves_the_api_is_refused(shop: Shop, path: str) -> None:
    refused = shop.api.post(BATCH, {"requests": [category("a"), get(path)]})
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert refused.json["errors"][0]["pointer"] == "/requests/1/path"
    # and nothing of the batch was done
    assert slugs(shop) == []


@pytest.mark.parametrize(
    ("request_changes", "pointer"),
    [
        ({"method": "CONNECT"}, "/requests/0/method"),
        ({"method": "get"}, "/requests/0/method"),
        ({"headers": {"Authorization": "Bearer x"}}, "/requests/0/headers/Authorization"),
        ({"headers": {"Host": "elsewhere.example"}}, "/requests/0/headers/Host"),
        ({"headers": {"If-Match": "a\r\nb"}}, "/requests/0/headers/If-Match"),
        ({"headers": {"Idempotency-Key": ""}}, "/requests/0/headers/Idempotency-Key"),
        ({"body": {"a": 1}}, "/requests/0/body"),
        ({"body": "text"}, "/requests/0/body"),
        ({"host": "elsewhere.example"}, "/requests/0/host"),
    ],
)
def test_what_else_a_request_cannot_have(
    shop: Shop, request_changes: dict[str, Any], pointer: str
) -> None:
    refused = shop.api.post(BATCH, {"requests": [{**get(CATEGORIES), **request_changes}]})
    assert refused.status == 422
    assert refused.json["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("count", [0, 21])
def test_a_batch_has_bounds(shop: Shop, count: int) -> None:
    refused = shop.api.post(BATCH, {"requests": [get(CATEGORIES)] * count})
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert len(send(shop.api, *[get(CATEGORIES)] * 20)) == 20


def test_each_request_has_the_scopes_of_the_batch(api: ApiClient, shop: Shop) -> None:
    body = {"name": "reader", "scopes": ["catalog:read"]}
    reader = api.with_token(shop.api.post("/api/v1/api_keys", body).json["key"])
    answers = send(reader, get(CATEGORIES), category("a"), get("/api/v1/orders"))
    assert [answer["status"] for answer in answers] == [200, 403, 403]
    assert slugs(shop) == []
    assert api.post(BATCH, {"requests": [get(CATEGORIES)]}).status == 401


def test_one_tenants_batch_does_not_reach_another(shop: Shop, other_shop: Shop) -> None:
    product = other_shop.product()
    (answer,) = send(shop.api, get(f"/api/v1/products/{product['id']}"))
    assert answer["status"] == 404


def test_keys_of_its_requests_hold_beside_requests_that_come_alone(shop: Shop) -> None:
    keyed = category("a", headers={"Idempotency-Key": "own-1"})
    (first,) = send(shop.api, keyed)
    (again,) = send(shop.api, keyed)
    assert again["headers"]["Idempotency-Replayed"] == "true"
    assert again["body"] == first["body"]
    alone = shop.api.post(CATEGORIES, {"name": "C", "slug": "a"}, key="own-1")
    assert (alone.status, alone.json) == (201, first["body"])
    assert slugs(shop) == ["a"]


def test_a_batch_sent_again_under_its_key_does_nothing_twice(
    shop: Shop, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [category("a"), category("b")]
    first = shop.api.post(BATCH, {"requests": requests}, key="batch-1")
    again = shop.api.post(BATCH, {"requests": requests}, key="batch-1")
    assert again.body == first.body
    assert again.headers["Idempotency-Replayed"] == "true"
    # the answer was lost before it was kept: what was done is replayed, not done again
    run = BatchRunner.run

    def cut_short(*arguments: Any) -> Any:
        run(*arguments)
        raise CUT_SHORT

    requests = [category("c"), category("d")]
    with monkeypatch.context() as patched:
        patched.setattr(BatchRunner, "run", cut_short)
        assert shop.api.post(BATCH, {"requests": requests}, key="batch-2").status == 503
    assert slugs(shop) == ["a", "b", "c", "d"]
    answers = send(shop.api, *requests, key="batch-2")
    assert [answer["status"] for answer in answers] == [201, 201]
    assert slugs(shop) == ["a", "b", "c", "d"]


def test_a_batch_that_was_not_done_is_done_when_it_is_sent_again(shop: Shop, app: App) -> None:
    """A request with the key of one of its requests runs: the batch's answer is not kept."""
    body = {"name": "C", "slug": "b"}
    alone = shop.api.post(CATEGORIES, body, key="own-b").json
    shop.api.delete(f"{CATEGORIES}/{alone['id']}")
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        taken = session.execute(text("DELETE FROM idempotency_records RETURNING key_digest"))
        lock_key = int.from_bytes(bytes(taken.scalar_one())[:8], "big", signed=True)
    requests = [category("a"), category("b", headers={"Idempotency-Key": "own-b"})]
    with tenant_session(app.services.engine, shop.tenant_id, lock_key):
        answers = send(shop.api, *requests, key="batch-3")
    assert [answer["status"] for answer in answers] == [201, 409]
    again = send(shop.api, *requests, key="batch-3")
    assert [answer["status"] for answer in again] == [201, 201]
    assert again[0]["body"] == answers[0]["body"]
    assert slugs(shop) == ["a", "b"]


def test_what_a_page_is_told_is_not_kept(shop: Shop, app: App) -> None:
    """Anybody may send its key, with as many Idempotency-Keys as they like."""
    body = {"name": "page", "kind": "publishable"}
    page = shop.api.with_token(shop.api.post("/api/v1/api_keys", body).json["key"])
    assert send(page, get(CATEGORIES), key="page-1")[0]["status"] == 200
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        count = session.execute(text("SELECT count(*) FROM idempotency_records")).scalar_one()
    assert count == 0


def test_each_request_is_traced_by_the_batchs_id(shop: Shop) -> None:
    headers = {"X-Request-ID": "traced-1"}
    answers = send(shop.api, get(CATEGORIES), category("a"), headers=headers)
    assert [a["headers"]["X-Request-ID"] for a in answers] == ["traced-1.0", "traced-1.1"]
    entries = shop.api.get("/api/v1/audit_log", query={"request_id": "traced-1.1"}).json["data"]
    assert [entry["action"] for entry in entries] == ["category_created"]


def outer() -> Exchange:
    return Exchange({"wsgi.url_scheme": "http"}, "POST", BATCH, utc_now(), request_id="outer")


def slow(seconds: float) -> Any:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        time.sleep(seconds)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    return application


def test_requests_run_at_the_same_time() -> None:
    # each waits until all are there
    together = threading.Barrier(service.THREADS)

    def meet(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        together.wait(10)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"met"]

    runner = BatchRunner(meet)
    answers, _ = runner.run(outer(), [get(CATEGORIES)] * service.THREADS, None, 10)
    assert [json.loads(answer)["status"] for answer in answers] == [200] * service.THREADS
    runner.close()


def test_what_is_not_done_in_time_is_told_so() -> None:
    runner = BatchRunner(slow(0.4))
    answers, is_final = runner.run(outer(), [get(CATEGORIES)] * (service.THREADS + 1), None, 0.1)
    assert not is_final
    assert all(b'"status":503' in answer for answer in answers)
    assert b"may still be done" in answers[0]
    assert b"Nothing was done" in answers[-1]
    runner.close()


def test_answers_too_large_together_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "ANSWER_LIMIT_BYTES", 10)
    runner = BatchRunner(slow(0))
    answers, is_final = runner.run(outer(), [get(CATEGORIES)] * 3, None, 10)
    assert is_final
    assert [b'"body":"done"' in answer for answer in answers] == [True, True, False]
    assert b'"status":200' in answers[2]
    assert b'"is_body_omitted":true' in answers[2]
    runner.close()


def test_text_is_told_as_a_string(shop: Shop) -> None:
    answered: Answered = shop.api.post(BATCH, {"requests": [get("/api/v1/openapi.json")]})
    assert answered.json["responses"][0]["body"]["openapi"].startswith("3.1")


def test_no_body_of_a_batch_is_logged(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    send(shop.api, category("very-secret-slug"))
    assert "very-secret-slug" not in caplog.text
