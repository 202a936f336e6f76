"""Tokens when a sign-in, its renewal, its end and a new password meet."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from shop_api.app import App
from shop_api.domains.accounts import service
from shop_api.domains.accounts.endpoints import token_policy
from shop_api.kernel.errors import DomainError
from shop_api.spine.unit_of_work import Origin, unit_of_work
from tests.fixtures.api import PASSWORD, Answered, ApiClient, Shop, open_shop

# what becomes of a credential is seen at once
APP_SETTINGS = {"credential_cache_seconds": 0.0}

LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
LOGOUT = "/api/v1/auth/logout"


def login(api: ApiClient, email: str, **body: Any) -> Answered:
    return api.with_token(None).post(LOGIN, {"email": email, "password": PASSWORD, **body})


def origin(shop: Shop) -> Origin:
    return Origin(shop.tenant_id, "user:test", "test", datetime.now(UTC))


@pytest.mark.parametrize("ending", ["logout", "reuse"])
def test_a_token_made_while_its_sign_in_ends_is_dead(
    app: App, api: ApiClient, shop: Shop, ending: str
) -> None:
    first = login(api, shop.email).json["refresh_token"]
    second = api.post(REFRESH, {"refresh_token": first}).json["refresh_token"]
    row = service.refresh_session(app.services.engine, second)
    ended_by = {"logout": (LOGOUT, second), "reuse": (REFRESH, first)}[ending]
    policy = token_policy(app.services)
    with ThreadPoolExecutor(1) as pool:
        with unit_of_work(app.services.engine, app.services.waker, origin(shop)) as work:
            made = service.rotate(work, row, policy)
            ended = pool.submit(api.post, ended_by[0], {"refresh_token": ended_by[1]})
            # the other has come as far as it can while this one is not committed
            time.sleep(0.3)
        assert ended.result().status == {"logout": 204, "reuse": 401}[ending]
    assert made is not None
    assert api.post(REFRESH, {"refresh_token": made.refresh_token}).status == 401


def change_of(shop: Shop, email: str, **changes: Any) -> None:
    users = shop.api.get("/api/v1/users").json["data"]
    user_id = next(user["id"] for user in users if user["email"] == email)
    assert shop.api.patch(f"/api/v1/users/{user_id}", changes).status == 200


def test_a_password_checked_before_it_was_changed_opens_nothing(
    app: App, api: ApiClient, shop: Shop
) -> None:
    checked = service.check_login(app.services.engine, shop.email, PASSWORD, None)
    change_of(shop, shop.email, password="another-password-1")
    with (
        pytest.raises(DomainError) as refused,
        unit_of_work(app.services.engine, app.services.waker, origin(shop)) as work,
    ):
        service.start_session(work, checked, token_policy(app.services))
    assert refused.value.code == "invalid_login"


def test_a_new_password_ends_all_tokens_made_before(api: ApiClient, shop: Shop) -> None:
    old = login(api, shop.email).json
    change_of(shop, shop.email, password="another-password-1")
    assert api.with_token(old["access_token"]).get("/api/v1/tenant").status == 401
    assert api.post(REFRESH, {"refresh_token": old["refresh_token"]}).status == 401
    fresh = api.post(LOGIN, {"email": shop.email, "password": "another-password-1"}).json
    assert api.with_token(fresh["access_token"]).get("/api/v1/tenant").status == 200


def test_a_wrong_password_does_not_tell_at_how_many_tenants_an_address_is(api: ApiClient) -> None:
    email = f"{uuid4().hex}@example.com"
    for _ in range(service.MAX_CANDIDATES + 1):
        body = {"email": email, "name": "x", "role": "viewer", "password": PASSWORD}
        assert open_shop(api).api.post("/api/v1/users", body).status == 201
    assert login(api, email).code == "tenant_required"
    wrong = api.post(LOGIN, {"email": email, "password": "not-the-password"})
    assert (wrong.status, wrong.code) == (401, "invalid_login")


def test_two_people_may_use_the_same_idempotency_key(api: ApiClient, shop: Shop) -> None:
    email = f"{uuid4().hex}@example.com"
    body = {"email": email, "name": "x", "role": "viewer", "password": PASSWORD}
    assert shop.api.post("/api/v1/users", body).status == 201
    answers = [
        api.post(LOGIN, {"email": each, "password": PASSWORD}, key="1")
        for each in (shop.email, email, shop.email)
    ]
    assert [answered.status for answered in answers] == [200, 200, 200]
    assert answers[0].body == answers[2].body
    assert answers[0].body != answers[1].body


def test_more_sign_ins_at_once_than_there_is_memory_for_wait(
    app: App, api: ApiClient, shop: Shop
) -> None:
    places = app.services.settings.api_threads // 2
    assert places > service.PARALLEL_RUNS
    with ThreadPoolExecutor(places) as pool:
        answers = list(pool.map(lambda _: login(api, shop.email), range(8)))
    assert {answered.status for answered in answers} == {200}


def test_sign_ins_leave_threads_to_everybody_else(app: App, api: ApiClient, shop: Shop) -> None:
    threads = app.services.settings.api_threads
    with ExitStack() as held:
        for _ in range(threads // 2):
            held.enter_context(service.sign_in_place(app.services.sign_in_places))
        busy = login(api, shop.email)
        assert (busy.status, busy.code) == (503, "sign_in_busy")
        assert busy.headers["Retry-After"] == "1"
        assert shop.api.get("/api/v1/tenant").status == 200
    assert login(api, shop.email).status == 200


def test_a_sign_in_that_finds_no_place_is_told_to_come_back(
    api: ApiClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "RUN_WAIT_SECONDS", 0.05)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: login(api, shop.email), range(16)))
    refused = [answered for answered in answers if answered.status != 200]
    assert refused
    assert {answered.code for answered in refused} == {"sign_in_busy"}
    assert all("Retry-After" in answered.headers for answered in refused)
