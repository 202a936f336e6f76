"""People of a tenant: who may make whom, and what disabling does."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from tests.fixtures.api import PASSWORD, Answered, ApiClient, Shop

# what becomes of a credential is seen at once
APP_SETTINGS = {"credential_cache_seconds": 0.0}

STAFF_PASSWORD = "another-long-password"


def make_user(shop: Shop, role: str, email: str) -> str:
    body = {"email": email, "name": "Person", "role": role, "password": STAFF_PASSWORD}
    answered = shop.api.post("/api/v1/users", body)
    assert answered.status == 201, answered.body
    user_id: str = answered.json["id"]
    return user_id


def sign_in(api: ApiClient, email: str, password: str = STAFF_PASSWORD) -> ApiClient:
    answered = api.post("/api/v1/auth/login", {"email": email, "password": password})
    assert answered.status == 200, answered.body
    return api.with_token(answered.json["access_token"])


def test_an_admin_makes_staff_but_no_owner(api: ApiClient, shop: Shop) -> None:
    email = f"admin@{shop.slug}.example"
    make_user(shop, "admin", email)
    admin = sign_in(api, email)
    body = {"email": f"a@{shop.slug}.example", "name": "A", "password": STAFF_PASSWORD}
    assert admin.post("/api/v1/users", {**body, "role": "staff"}).status == 201
    refused = admin.post("/api/v1/users", {**body, "email": "b@x.example", "role": "owner"})
    assert (refused.status, refused.code) == (403, "role_not_allowed")
    again = admin.post("/api/v1/users", {**body, "role": "staff"})
    assert (again.status, again.code) == (409, "email_taken")


def test_an_admin_cannot_take_over_an_owner(api: ApiClient, shop: Shop) -> None:
    email = f"admin@{shop.slug}.example"
    make_user(shop, "admin", email)
    owner_id = shop.api.get("/api/v1/users").json["data"][0]["id"]
    refused = sign_in(api, email).patch(
        f"/api/v1/users/{owner_id}", {"password": "a-password-of-the-admin"}
    )
    assert (refused.status, refused.code) == (403, "role_not_allowed")
    assert sign_in(api, shop.email, PASSWORD).get("/api/v1/tenant").status == 200


def test_a_disabled_user_is_out_at_once(api: ApiClient, shop: Shop) -> None:
    email = f"staff@{shop.slug}.example"
    user_id = make_user(shop, "staff", email)
    tokens = api.post("/api/v1/auth/login", {"email": email, "password": STAFF_PASSWORD}).json
    staff = api.with_token(tokens["access_token"])
    assert staff.get("/api/v1/products").status == 200
    changed = shop.api.patch(f"/api/v1/users/{user_id}", {"is_disabled": True})
    assert changed.json["disabled_at"] is not None
    assert staff.get("/api/v1/products").status == 401
    refreshed = api.post("/api/v1/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert (refreshed.status, refreshed.code) == (401, "invalid_refresh_token")
    login = api.post("/api/v1/auth/login", {"email": email, "password": STAFF_PASSWORD})
    assert (login.status, login.code) == (401, "invalid_login")


def test_the_last_owner_stays(shop: Shop) -> None:
    owner_id = shop.api.get("/api/v1/users").json["data"][0]["id"]
    for change in ({"is_disabled": True}, {"role": "viewer"}):
        refused = shop.api.patch(f"/api/v1/users/{owner_id}", change)
        assert (refused.status, refused.code) == (409, "last_owner")
    make_user(shop, "owner", f"second@{shop.slug}.example")
    assert shop.api.patch(f"/api/v1/users/{owner_id}", {"role": "viewer"}).status == 200


WAYS_OUT: list[Callable[[ApiClient, str], Answered]] = [
    lambda api, path: api.patch(path, {"role": "staff"}),
    lambda api, path: api.patch(path, {"is_disabled": True}),
    lambda api, path: api.delete(path),
]


@pytest.mark.parametrize("first", range(3))
@pytest.mark.parametrize("second", range(3))
def test_two_owners_cannot_take_each_other_away(shop: Shop, first: int, second: int) -> None:
    make_user(shop, "owner", f"second@{shop.slug}.example")
    paths = [f"/api/v1/users/{user['id']}" for user in owners_of(shop)]
    together = Barrier(2)

    def take_away(path: str, way: int) -> Answered:
        together.wait()
        return WAYS_OUT[way](shop.api, path)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(take_away, paths, (first, second)))
    refused = [(a.status, a.code) for a in answers if a.status >= 300]
    assert refused == [(409, "last_owner")]
    assert len(owners_of(shop)) == 1


def owners_of(shop: Shop) -> list[dict[str, Any]]:
    found = shop.api.get("/api/v1/users", query={"role": "owner"}).json["data"]
    return [user for user in found if user["disabled_at"] is None]


def test_a_deleted_user_is_out_at_once(api: ApiClient, shop: Shop) -> None:
    email = f"staff@{shop.slug}.example"
    user_id = make_user(shop, "staff", email)
    staff = sign_in(api, email)
    assert staff.get("/api/v1/products").status == 200
    path = f"/api/v1/users/{user_id}"
    stale = {"If-Match": '"99-x"'}
    assert shop.api.delete(path, headers=stale).status == 412
    assert shop.api.delete(path).status == 204
    assert staff.get("/api/v1/products").status == 401
    assert shop.api.get(path).status == 404
    login = api.post("/api/v1/auth/login", {"email": email, "password": STAFF_PASSWORD})
    assert (login.status, login.code) == (401, "invalid_login")
    # the address is free again
    make_user(shop, "staff", email)


def test_an_admin_cannot_delete_an_owner(api: ApiClient, shop: Shop) -> None:
    email = f"admin@{shop.slug}.example"
    make_user(shop, "admin", email)
    make_user(shop, "owner", f"second@{shop.slug}.example")
    owner_id = owners_of(shop)[0]["id"]
    refused = sign_in(api, email).delete(f"/api/v1/users/{owner_id}")
    assert (refused.status, refused.code) == (403, "role_not_allowed")


def test_people_are_found_by_role_and_address(shop: Shop) -> None:
    email = f"found@{shop.slug}.example"
    make_user(shop, "analyst", email)
    for query in ({"role": "analyst"}, {"email": email.upper()}):
        found = shop.api.get("/api/v1/users", query={**query, "include_total": "true"}).json
        assert [user["email"] for user in found["data"]] == [email]
        assert found["total"] == 1
