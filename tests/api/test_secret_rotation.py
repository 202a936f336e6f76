"""The secret key is rotated while a client is at work, and nothing the client holds breaks."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shop_api.app import App, create_app
from shop_api.domains.callbacks.service import sign
from shop_api.settings import Settings
from shop_api.stack.children import child_environment
from tests.factories.operations import callback_body
from tests.fixtures.api import PASSWORD, AnswerChecker, ApiClient, Shop, encode, open_shop
from tests.fixtures.stores import Database

OLD = "the-old-secret-key-of-at-least-32-characters"
NEW = "the-new-secret-key-of-at-least-32-characters"

Open = Callable[..., Any]


@pytest.fixture
def opened(database: Database, redis_url: str, tmp_path: Path) -> Open:
    """An application of this module's stores with a secret key, and others it accepts."""

    @contextmanager
    def open_app(secret_key: str, *accepted: str) -> Iterator[ApiClient]:
        app = create_app(
            database.settings(
                tmp_path,
                redis_url,
                secret_key=secret_key,
                accepted_secret_keys=list(accepted),
                credential_cache_seconds=0.0,
            )
        )
        yield ApiClient(app, AnswerChecker(app))
        app.close()

    return open_app


def moved(shop: Shop, api: ApiClient) -> Shop:
    """The same shop at another application."""
    return Shop(shop.tenant_id, shop.slug, shop.email, api.with_token(shop.api.token))


def sign_in(api: ApiClient, shop: Shop) -> str:
    answered = api.post("/api/v1/auth/login", {"email": shop.email, "password": PASSWORD})
    token: str = answered.json["access_token"]
    return token


def header_of(token: str) -> dict[str, Any]:
    part = token.partition(".")[0]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return found


def opens(api: ApiClient, token: str) -> bool:
    return api.with_token(token).get("/api/v1/tenant").status == 200


def test_a_client_lives_through_a_rotation(opened: Open) -> None:
    body = {"name": "another", "scopes": ["catalog:read"]}
    with opened(OLD) as api:
        shop = open_shop(api)
        token = sign_in(api, shop)
        for _ in range(3):
            shop.product()
        cursor = shop.api.get("/api/v1/products?limit=1").json["page_info"]["end_cursor"]
        made = shop.api.post("/api/v1/api_keys", body, key="one")
    with opened(NEW, OLD) as api:
        now = moved(shop, api)
        assert opens(api, token)
        following = now.api.get("/api/v1/products", query={"limit": 1, "after": cursor})
        assert following.status == 200
        replayed = now.api.post("/api/v1/api_keys", body, key="one")
        assert replayed.headers["Idempotency-Replayed"] == "true"
        assert replayed.body == made.body
        other = now.api.post("/api/v1/api_keys", {**body, "name": "x"}, key="one")
        assert (other.status, other.code) == (422, "idempotency_key_reused")
        new_token = sign_in(api, shop)
        new_cursor = following.json["page_info"]["end_cursor"]
        assert header_of(new_token)["kid"] != header_of(token)["kid"]
        second = now.api.post("/api/v1/api_keys", body, key="two")
    with opened(NEW) as api:
        now = moved(shop, api)
        # what the new key signed while both were accepted stays
        assert opens(api, new_token)
        assert (
            now.api.get("/api/v1/products", query={"limit": 1, "after": new_cursor}).status == 200
        )
        assert now.api.post("/api/v1/api_keys", body, key="two").body == second.body
        # what the old one signed does not
        assert not opens(api, token)
        refused = now.api.get("/api/v1/products", query={"limit": 1, "after": cursor})
        assert (refused.status, refused.code) == (400, "invalid_cursor")


def test_machines_that_are_restarted_one_after_the_other_understand_each_other(
    opened: Open,
) -> None:
    """First all are given the new key as accepted, then as the one that signs."""
    with opened(OLD, NEW) as before, opened(NEW, OLD) as after:
        shop = open_shop(before)
        for signing, reading in ((before, after), (after, before)):
            assert opens(reading, sign_in(signing, shop))
            body = {"name": "Ada"}
            first = moved(shop, signing).api.post("/api/v1/api_keys", body, key=str(id(signing)))
            again = moved(shop, reading).api.post("/api/v1/api_keys", body, key=str(id(signing)))
            assert again.body == first.body


def test_a_provider_that_has_the_old_callback_key_is_heard(opened: Open) -> None:
    with opened(NEW, OLD) as api:
        shop = open_shop(api)
        path = f"/api/v1/payment_callbacks/simulated/{shop.tenant_id}"
        for key, status in ((OLD, 200), (NEW, 200), ("x" * 32, 401)):
            body = callback_body(shop)
            signature = sign(key.encode(), shop.tenant_id, encode(body))
            headers = {"X-Payment-Signature": signature}
            assert api.post(path, body, headers=headers).status == status


def test_the_key_of_a_token_is_named_by_a_digest(opened: Open) -> None:
    with opened(OLD) as api:
        assert isinstance(api.app, App)
        token = sign_in(api, open_shop(api))
        kid = header_of(token)["kid"]
        assert len(kid) == 16
        keys = api.app.services.secret_keys
        assert kid not in {key.hex()[:16] for key in keys.derived(b"access-token")}
        assert OLD not in repr(keys)


def test_processes_are_started_with_all_keys(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, secret_key=NEW, accepted_secret_keys=[OLD], data_dir=tmp_path
    )
    assert child_environment(settings)["SHOP_ACCEPTED_SECRET_KEYS"] == json.dumps([OLD])
