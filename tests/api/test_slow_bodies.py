"""Clients that send half a body hold a thread each: never all, and strangers only a few."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shop_api.app import App
from tests.fixtures.api import Answered, ApiClient, Shop, encode, raw

LOGIN = "/api/v1/auth/login"
CUSTOMERS = "/api/v1/customers"


class HalfSent(io.RawIOBase):
    """A body of which no more comes until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.is_waited_for = threading.Event()

    def read(self, size: int = -1) -> bytes:
        self.is_waited_for.set()
        self.let_go.wait(30)
        return b"{}"


def send(app: App, path: str, body: Any, token: str | None, length: int = 1000) -> Answered:
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return raw(
        app,
        "POST",
        path,
        headers=headers,
        environ_overrides={"wsgi.input": body, "CONTENT_LENGTH": str(length)},
    )


@contextmanager
def half_sent(
    app: App, path: str, token: str | None, count: int, length: int = 1000
) -> Iterator[None]:
    """`count` requests that are being received, all at once."""
    bodies = [HalfSent() for _ in range(count)]
    threads = [
        threading.Thread(target=send, args=(app, path, body, token, length), daemon=True)
        for body in bodies
    ]
    for thread in threads:
        thread.start()
    try:
        assert all(body.is_waited_for.wait(5) for body in bodies)
        yield
    finally:
        for body in bodies:
            body.let_go.set()
        for thread in threads:
            thread.join(5)


@pytest.fixture(scope="module")
def places(app: App) -> int:
    """Threads of a process."""
    return app.services.settings.api_threads


def test_strangers_do_not_take_the_places_of_customers(
    app: App, api: ApiClient, shop: Shop, places: int
) -> None:
    with half_sent(app, LOGIN, None, places // 4):
        body = encode({"email": shop.email, "password": "x" * 12})
        refused = send(app, LOGIN, io.BytesIO(body), None, len(body))
        assert (refused.status, refused.code) == (503, "server_busy")
        assert "Retry-After" in refused.headers
        assert shop.api.post(CUSTOMERS, {"first_name": "Ada"}).status == 201
    assert api.post(LOGIN, {"email": shop.email, "password": "x" * 12}).status == 401


def test_half_sent_bodies_leave_threads_for_reads(app: App, shop: Shop, places: int) -> None:
    with half_sent(app, CUSTOMERS, shop.api.token, places - 2):
        assert shop.api.post(CUSTOMERS, {"first_name": "Ada"}).code == "server_busy"
        assert shop.api.get(CUSTOMERS).status == 200
        assert shop.api.get("/health/live").status == 200
    assert shop.api.post(CUSTOMERS, {"first_name": "Ada"}).status == 201


LARGE = 9_000_000


@contextmanager
def room_taken(app: App, shop: Shop, other_shop: Shop) -> Iterator[None]:
    """Two tenants' bodies leave no room for another one as large."""
    assert app.services.settings.body_memory_bytes // LARGE == 3
    with (
        half_sent(app, CUSTOMERS, shop.api.token, 2, LARGE),
        half_sent(app, CUSTOMERS, other_shop.api.token, 1, LARGE),
    ):
        yield


def chunked(app: App, path: str, body: Any, token: str | None) -> Answered:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return raw(app, "POST", path, headers=headers, environ_overrides={"wsgi.input": body})


def test_large_bodies_leave_memory_for_small_ones(app: App, shop: Shop, other_shop: Shop) -> None:
    with room_taken(app, shop, other_shop):
        untouched = HalfSent()
        refused = send(app, CUSTOMERS, untouched, other_shop.api.token, LARGE)
        assert (refused.status, refused.code) == (503, "server_busy")
        assert refused.headers["Retry-After"] == "1"
        assert not untouched.is_waited_for.is_set()
        assert shop.api.post(CUSTOMERS, {"first_name": "Ada"}).status == 201
    body = encode({"first_name": "a" * (LARGE - 100)})
    assert send(app, CUSTOMERS, io.BytesIO(body), shop.api.token, len(body)).status == 422


def test_large_bodies_of_a_tenant_leave_memory_for_others(
    app: App, shop: Shop, other_shop: Shop
) -> None:
    body = encode({"first_name": "a" * (LARGE - 100)})
    with half_sent(app, CUSTOMERS, shop.api.token, 2, LARGE):
        refused = send(app, CUSTOMERS, io.BytesIO(body), shop.api.token, len(body))
        assert refused.code == "server_busy"
        other = send(app, CUSTOMERS, io.BytesIO(body), other_shop.api.token, len(body))
        assert other.code == "validation_failed"


def test_a_body_of_unknown_length_holds_memory_once_it_is_large(
    app: App, shop: Shop, other_shop: Shop
) -> None:
    token = other_shop.api.token

    def customer(name: str) -> Answered:
        return chunked(app, CUSTOMERS, io.BytesIO(encode({"first_name": name})), token)

    with room_taken(app, shop, other_shop):
        assert customer("Ada").status == 201
        # 27 of 30 MB are held: three steps are left
        assert customer("a" * 2_900_000).code == "validation_failed"
        assert customer("a" * 3_100_000).code == "server_busy"
    assert customer("a" * 3_100_000).code == "validation_failed"
    too_large = customer("a" * app.services.settings.body_limit_bytes)
    assert (too_large.status, too_large.code) == (413, "body_too_large")


class HalfSentInPieces(HalfSent):
    """Of unknown length: 70 KB come at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0

    def read(self, size: int = -1) -> bytes:
        if self.sent < 70_000:
            self.sent += size
            return b"a" * size
        return super().read(size)


def test_an_import_of_unknown_length_leaves_memory_for_others(
    app: App, shop: Shop, other_shop: Shop
) -> None:
    body = HalfSentInPieces()
    thread = threading.Thread(
        target=chunked, args=(app, "/api/v1/imports", body, shop.api.token), daemon=True
    )
    thread.start()
    assert body.is_waited_for.wait(5)
    try:
        large = {"first_name": "a" * 1_000_000}
        told = {other_shop.api.post(CUSTOMERS, large).code for _ in range(3)}
        assert told == {"validation_failed"}
    finally:
        body.let_go.set()
        thread.join(5)


def test_a_large_batch_has_room_for_what_stands_in_it(
    app: App, shop: Shop, other_shop: Shop
) -> None:
    inner = {
        "method": "POST",
        "path": CUSTOMERS,
        "body": {"first_name": "Ada", "note": "a" * 4_400_000},
    }
    body = encode({"requests": [inner] * 2})
    # with what others hold there is room for the batch, and not for its parts once more
    held = app.services.settings.body_memory_bytes // LARGE - 1
    with half_sent(app, CUSTOMERS, other_shop.api.token, held, LARGE):
        answered = shop.api.post("/api/v1/batch", data=body, content_type="application/json")
    told = {found["status"] for found in answered.json["responses"]}
    assert (answered.status, told) == (200, {422})


@pytest.mark.parametrize(("path", "status"), [(CUSTOMERS, 401), ("/api/v1/nowhere", 404)])
def test_without_a_credential_a_body_is_not_read(app: App, path: str, status: int) -> None:
    body = HalfSent()
    assert send(app, path, body, None).status == status
    assert not body.is_waited_for.is_set()


def publishable_key(shop: Shop) -> str:
    body = {"name": "page", "kind": "publishable", "scopes": ["catalog:read"]}
    return str(shop.api.post("/api/v1/api_keys", body).json["key"])


def test_a_publishable_key_has_no_body_read_that_it_may_not_send(app: App, shop: Shop) -> None:
    body = HalfSent()
    answered = send(app, "/api/v1/orders", body, publishable_key(shop))
    assert (answered.status, answered.code) == (403, "insufficient_scope")
    assert not body.is_waited_for.is_set()


def test_publishable_keys_do_not_take_the_places_of_customers(
    app: App, shop: Shop, other_shop: Shop, places: int
) -> None:
    key = publishable_key(shop)
    with half_sent(app, "/api/v1/batch", key, places // 4):
        assert send(app, "/api/v1/batch", io.BytesIO(b"{}"), key, 2).code == "server_busy"
        assert other_shop.api.post(CUSTOMERS, {"first_name": "Ada"}).status == 201
