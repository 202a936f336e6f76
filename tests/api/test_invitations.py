"""Joining by an invitation: once, in time, and only while whoever invited still could."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.principal import ROLE_SCOPES
from tests.fixtures.api import PASSWORD, Answered, ApiClient, Shop

# what becomes of a credential is seen at once
APP_SETTINGS = {"credential_cache_seconds": 0.0}

INVITATIONS = "/api/v1/invitations"
ACCEPT = "/api/v1/auth/accept_invitation"
OWN_PASSWORD = "chosen-by-the-person"


def invite(shop: Shop, email: str | None = None, **body: Any) -> dict[str, Any]:
    sent = {"email": email or f"new@{shop.slug}.example", "role": "staff", **body}
    answered = shop.api.post(INVITATIONS, sent)
    assert answered.status == 201, answered.body
    made: dict[str, Any] = answered.json
    return made


def accept(api: ApiClient, token: str, **options: Any) -> Answered:
    body = {"token": token, "name": "Grace", "password": OWN_PASSWORD}
    return api.with_token(None).post(ACCEPT, body, **options)


def test_a_person_joins_and_signs_in(api: ApiClient, shop: Shop) -> None:
    made = invite(shop, role="analyst")
    joined = accept(api, made["token"])
    assert joined.status == 201
    assert joined.headers["Cache-Control"] == "no-store"
    person = api.with_token(joined.json["access_token"])
    assert person.get("/api/v1/products").status == 200
    assert person.get("/api/v1/users").status == 403
    email = made["email"]
    (user,) = shop.api.get("/api/v1/users", query={"email": email}).json["data"]
    assert (user["name"], user["role"]) == ("Grace", "analyst")
    login = api.post("/api/v1/auth/login", {"email": email, "password": OWN_PASSWORD})
    assert login.status == 200
    shown = shop.api.get(f"{INVITATIONS}/{made['id']}").json
    assert shown["accepted_at"] is not None
    refused = shop.api.delete(f"{INVITATIONS}/{made['id']}")
    assert (refused.status, refused.code) == (409, "invitation_accepted")


def test_an_invitation_works_once(api: ApiClient, shop: Shop) -> None:
    token = invite(shop)["token"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: accept(api, token), range(4)))
    assert sorted(answered.status for answered in answers) == [201, 401, 401, 401]
    again = accept(api, token)
    assert (again.status, again.code) == (401, "invalid_invitation")


def test_a_lost_answer_is_replayed(api: ApiClient, shop: Shop) -> None:
    token = invite(shop)["token"]
    first = accept(api, token, key="join-1")
    assert accept(api, token, key="join-1").body == first.body


def test_the_token_is_shown_once_and_kept_as_a_hash(app: App, shop: Shop) -> None:
    made = invite(shop)
    shown = shop.api.get(f"{INVITATIONS}/{made['id']}")
    assert "token" not in shown.json
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        rows = "".join(
            row
            for table in ("invitations", "audit_entries", "events", "idempotency_records")
            for row in session.execute(text(f"SELECT t::text FROM {table} t")).scalars()
        )
    assert made["email"] in rows
    assert made["token"] not in rows
    assert made["token"].encode().hex() not in rows


def expire(app: App, shop: Shop) -> None:
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        session.execute(text("UPDATE invitations SET expires_at = now()"))


def test_an_expired_or_revoked_invitation_opens_nothing(
    app: App, api: ApiClient, shop: Shop
) -> None:
    expired = invite(shop)
    expire(app, shop)
    revoked = invite(shop, f"other@{shop.slug}.example")
    path = f"{INVITATIONS}/{revoked['id']}"
    assert shop.api.delete(path).status == 204
    assert shop.api.delete(path).status == 204
    refused = [accept(api, made["token"]) for made in (expired, revoked)]
    refused.append(accept(api, "in_unknown"))
    assert {(a.status, a.code) for a in refused} == {(401, "invalid_invitation")}
    assert len({a.json["detail"] for a in refused}) == 1


def test_an_address_is_invited_once_at_a_time(app: App, api: ApiClient, shop: Shop) -> None:
    first = invite(shop)
    again = shop.api.post(INVITATIONS, {"email": first["email"].upper(), "role": "viewer"})
    assert (again.status, again.code) == (409, "already_invited")
    expire(app, shop)
    second = invite(shop)
    assert accept(api, first["token"]).status == 401
    assert accept(api, second["token"]).status == 201
    taken = shop.api.post(INVITATIONS, {"email": first["email"], "role": "viewer"})
    assert (taken.status, taken.code) == (409, "email_taken")
    listed = shop.api.get(INVITATIONS).json["data"]
    assert [one["id"] for one in listed] == [second["id"], first["id"]]
    open_ones = shop.api.get(INVITATIONS, query={"is_open": "true"}).json["data"]
    assert open_ones == []
    found = shop.api.get(INVITATIONS, query={"email": first["email"]}).json["data"]
    assert len(found) == 2


def sign_in(api: ApiClient, shop: Shop, role: str) -> tuple[str, ApiClient]:
    email = f"{role}@{shop.slug}.example"
    body = {"email": email, "name": role, "role": role, "password": PASSWORD}
    user_id: str = shop.api.post("/api/v1/users", body).json["id"]
    login = api.post("/api/v1/auth/login", {"email": email, "password": PASSWORD})
    return user_id, api.with_token(login.json["access_token"])


def test_nobody_invites_somebody_stronger_or_calls_them_off(api: ApiClient, shop: Shop) -> None:
    _, admin = sign_in(api, shop, "admin")
    refused = admin.post(INVITATIONS, {"email": "a@x.example", "role": "owner"})
    assert (refused.status, refused.code) == (403, "role_not_allowed")
    stronger = f"{INVITATIONS}/{invite(shop, role='owner')['id']}"
    assert admin.delete(stronger).code == "role_not_allowed"
    assert shop.api.delete(stronger).status == 204
    _, staff = sign_in(api, shop, "staff")
    assert staff.post(INVITATIONS, {"email": "a@x.example", "role": "viewer"}).status == 403


@pytest.mark.parametrize("way", ["disabled", "demoted", "deleted"])
def test_who_was_put_out_does_not_come_back_by_an_invitation(
    api: ApiClient, shop: Shop, way: str
) -> None:
    admin_id, admin = sign_in(api, shop, "admin")
    body = {"email": f"back@{shop.slug}.example", "role": "admin"}
    token = admin.post(INVITATIONS, body).json["token"]
    path = f"/api/v1/users/{admin_id}"
    if way == "deleted":
        shop.api.delete(path)
    else:
        change = {"disabled": {"is_disabled": True}, "demoted": {"role": "staff"}}[way]
        shop.api.patch(path, change)
    assert accept(api, token).code == "invalid_invitation"


@pytest.mark.parametrize("way", ["revoked", "rotated", "expired"])
def test_an_invitation_of_a_key_that_is_over_opens_nothing(
    app: App, api: ApiClient, shop: Shop, way: str
) -> None:
    scopes = sorted(ROLE_SCOPES["staff"] | {"users:write"})
    key = shop.api.post("/api/v1/api_keys", {"name": "hr", "scopes": scopes}).json
    body = {"email": f"back@{shop.slug}.example", "role": "staff"}
    token = api.with_token(key["key"]).post(INVITATIONS, body).json["token"]
    path = f"/api/v1/api_keys/{key['id']}"
    if way == "revoked":
        assert shop.api.delete(path).status == 204
    elif way == "rotated":
        assert shop.api.post(f"{path}/rotate", {"overlap_seconds": 0}).status == 201
    else:
        with tenant_session(app.services.engine, shop.tenant_id) as session:
            session.execute(
                text("UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE id = :id"),
                {"id": UUID(key["id"])},
            )
    assert accept(api, token).code == "invalid_invitation"


def test_a_weak_password_is_refused_and_the_invitation_still_works(
    api: ApiClient, shop: Shop
) -> None:
    token = invite(shop)["token"]
    refused = api.post(ACCEPT, {"token": token, "name": "G", "password": "short"})
    assert refused.json["errors"][0]["pointer"] == "/password"
    assert accept(api, token).status == 201
