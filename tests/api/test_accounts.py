"""Signing in, refresh tokens, access tokens and API keys."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from argon2 import Type, extract_parameters
from argon2.exceptions import VerifyMismatchError
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.domains.accounts.endpoints import token_policy
from shop_api.domains.accounts.service import hash_of_nobody, make_access_token
from shop_api.kernel.principal import PUBLISHABLE_SCOPES, ROLE_SCOPES, SCOPES
from tests.fixtures import passwords
from tests.fixtures.api import PASSWORD, PLATFORM_KEY, Answered, ApiClient, Shop

# what becomes of a credential is seen at once
APP_SETTINGS = {"credential_cache_seconds": 0.0}

LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
LOGOUT = "/api/v1/auth/logout"
KEYS = "/api/v1/api_keys"
TENANT = "/api/v1/tenant"


def login(api: ApiClient, email: str, password: str = PASSWORD, **body: Any) -> Answered:
    return api.with_token(None).post(LOGIN, {"email": email, "password": password, **body})


def refresh(api: ApiClient, token: str, **options: Any) -> Answered:
    return api.with_token(None).post(REFRESH, {"refresh_token": token}, **options)


def opens(api: ApiClient, token: str) -> bool:
    answered = api.with_token(token).get(TENANT)
    assert answered.status in (200, 401)
    return answered.status == 200


def without_identity(answered: Answered) -> dict[str, Any]:
    return {k: v for k, v in answered.json.items() if k != "request_id"}


def test_signing_in_gives_tokens_that_work(api: ApiClient, shop: Shop) -> None:
    answered = login(api, shop.email.upper())
    assert answered.status == 200
    assert answered.headers["Cache-Control"] == "no-store"
    tokens = answered.json
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    assert api.with_token(tokens["access_token"]).get(TENANT).json["id"] == str(shop.tenant_id)


def test_a_wrong_password_and_an_unknown_address_answer_the_same(
    api: ApiClient, shop: Shop
) -> None:
    wrong = login(api, shop.email, "not-the-password")
    unknown = login(api, "nobody@example.com", "not-the-password")
    elsewhere = login(api, shop.email, PASSWORD, tenant="no-such-tenant")
    assert {a.status for a in (wrong, unknown, elsewhere)} == {401}
    assert without_identity(wrong) == without_identity(unknown) == without_identity(elsewhere)
    assert wrong.code == "invalid_login"


def test_one_address_at_two_tenants(api: ApiClient, shop: Shop, other_shop: Shop) -> None:
    body = {"email": shop.email, "name": "Both", "role": "viewer", "password": PASSWORD}
    assert other_shop.api.post("/api/v1/users", body).status == 201
    ambiguous = login(api, shop.email)
    assert (ambiguous.status, ambiguous.code) == (422, "tenant_required")
    for each in (shop, other_shop):
        token = login(api, shop.email, tenant=each.slug).json["access_token"]
        assert api.with_token(token).get(TENANT).json["id"] == str(each.tenant_id)
    # a wrong password says nothing of how many accounts there are
    assert login(api, shop.email, "not-the-password").code == "invalid_login"


def test_another_password_at_the_other_tenant_decides(
    api: ApiClient, shop: Shop, other_shop: Shop
) -> None:
    body = {"email": shop.email, "name": "B", "role": "viewer", "password": "another-password-1"}
    other_shop.api.post("/api/v1/users", body)
    token = login(api, shop.email, "another-password-1").json["access_token"]
    assert api.with_token(token).get(TENANT).json["id"] == str(other_shop.tenant_id)


def test_each_refresh_token_works_once_and_reuse_ends_the_family(
    api: ApiClient, shop: Shop
) -> None:
    bystander = login(api, shop.email).json
    first = login(api, shop.email).json["refresh_token"]
    renewed = refresh(api, first).json
    assert renewed["refresh_token"] != first
    assert opens(api, renewed["access_token"])
    last = refresh(api, renewed["refresh_token"]).json
    reused = refresh(api, first)
    assert (reused.status, reused.code) == (401, "invalid_refresh_token")
    # the thief and the owner are both out, another sign-in is not
    assert refresh(api, last["refresh_token"]).status == 401
    assert not opens(api, renewed["access_token"])
    assert not opens(api, last["access_token"])
    assert opens(api, bystander["access_token"])
    assert refresh(api, bystander["refresh_token"]).status == 200


def test_a_lost_answer_is_replayed_and_is_no_reuse(api: ApiClient, shop: Shop) -> None:
    first = login(api, shop.email).json["refresh_token"]
    renewed = refresh(api, first, key="retry-1")
    again = refresh(api, first, key="retry-1")
    assert again.body == renewed.body
    assert refresh(api, renewed.json["refresh_token"]).status == 200


def test_of_two_refreshes_at_once_one_gets_tokens(api: ApiClient, shop: Shop) -> None:
    token = login(api, shop.email).json["refresh_token"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: refresh(api, token), range(4)))
    assert sorted(a.status for a in answers) == [200, 401, 401, 401]


def test_signing_out_ends_the_family(api: ApiClient, shop: Shop) -> None:
    first = login(api, shop.email).json["refresh_token"]
    renewed = refresh(api, first).json
    second = renewed["refresh_token"]
    assert opens(api, renewed["access_token"])
    assert api.post(LOGOUT, {"refresh_token": second}).status == 204
    assert not opens(api, renewed["access_token"])
    assert refresh(api, second).code == "invalid_refresh_token"
    assert api.post(LOGOUT, {"refresh_token": second}).status == 204
    assert api.post(LOGOUT, {"refresh_token": "rt_unknown"}).code == "invalid_refresh_token"


def test_an_expired_refresh_token_is_refused(app: App, api: ApiClient, shop: Shop) -> None:
    token = login(api, shop.email).json["refresh_token"]
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        session.execute(text("UPDATE refresh_tokens SET expires_at = now()"))
    assert refresh(api, token).code == "invalid_refresh_token"


def test_tokens_and_keys_are_stored_as_hashes(app: App, api: ApiClient, shop: Shop) -> None:
    tokens = login(api, shop.email).json
    assert shop.api.token is not None
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        rows = "".join(
            row
            for table in ("refresh_tokens", "api_keys", "users", "audit_entries", "events")
            for row in session.execute(text(f"SELECT t::text FROM {table} t")).scalars()
        )
    assert "$argon2id$" in rows
    for secret in (tokens["refresh_token"], tokens["access_token"], shop.api.token, PASSWORD):
        assert secret not in rows
        assert secret.encode().hex() not in rows


def test_passwords_cost_as_much_to_try_in_production() -> None:
    assert passwords.PRODUCTION.type is Type.ID
    assert passwords.PRODUCTION.memory_cost >= 64 * 1024
    assert passwords.PRODUCTION.time_cost >= 3


def test_to_try_the_password_of_nobody_costs_as_much() -> None:
    nobody = hash_of_nobody(passwords.PRODUCTION)
    someone = passwords.PRODUCTION.hash("correct horse")
    assert extract_parameters(nobody) == extract_parameters(someone)
    with pytest.raises(VerifyMismatchError):
        passwords.PRODUCTION.verify(nobody, "correct horse")


def parts(token: str) -> list[str]:
    return token.split(".")


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_forged_access_tokens_are_refused(app: App, api: ApiClient, shop: Shop) -> None:
    token = login(api, shop.email).json["access_token"]
    header, payload, signature = parts(token)
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    stranger = OctKey.import_key(b"x" * 32)
    forged = [
        f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{payload}.",
        f"{encoded({'alg': 'none'})}.{payload}.{signature}",
        f"{encoded({'alg': 'HS512'})}.{payload}.{signature}",
        f"{encoded([])}.{payload}.{signature}",
        f"{encoded('x')}.{payload}.{signature}",
        f"{encoded({})}.{payload}.{signature}",
        f"{encoded({'alg': ['HS256']})}.{payload}.{signature}",
        f"{encoded({'alg': 'HS256', 'crit': ['x'], 'x': 1})}.{payload}.{signature}",
        f"{header}.{encoded({**claims, 'exp': claims['exp'] + 1})}.{signature}",
        f"{header}.{encoded([])}.{signature}",
        f"{header}.{payload}.{signature[:-2]}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        "..",
        "a.b.c",
        "é",
        "\x80\x81.x.y",
        jwt.encode({"alg": "HS256"}, claims, stranger),
    ]
    for bad in forged:
        answered = api.with_token(bad).get(TENANT)
        assert (answered.status, answered.code) == (401, "invalid_credential"), bad
    assert opens(api, token)


def signed(app: App, claims: dict[str, Any]) -> str:
    """A token with our own signature over any claims."""

    policy = token_policy(app.services)
    key = OctKey.import_key(policy.secret_keys.derived(b"access-token")[0])
    return jwt.encode({"alg": "HS256"}, claims, key)


def test_claims_of_another_form_are_refused(app: App, api: ApiClient, shop: Shop) -> None:
    token = login(api, shop.email).json["access_token"]
    claims = json.loads(base64.urlsafe_b64decode(parts(token)[1] + "=="))
    assert opens(api, signed(app, claims))
    others: list[dict[str, Any]] = [
        {"iss": "elsewhere"},
        {"exp": None},
        {"exp": "never"},
        {"sub": 1},
        {"sub": "x"},
        {"sid": None},
        {"sid": "x"},
        {"tenant_id": None},
        {"tenant_id": []},
        {"tenant_id": "00000000-0000-0000-0000-000000000000"},
        {"iat": "x"},
    ]
    for changes in others:
        changed = {name: v for name, v in {**claims, **changes}.items() if v is not None}
        assert not opens(api, signed(app, changed)), changes


def test_an_expired_access_token_is_refused(app: App, api: ApiClient, shop: Shop) -> None:
    user_id = UUID(shop.api.get("/api/v1/users").json["data"][0]["id"])
    policy = token_policy(app.services)
    now = datetime.now(UTC)
    assert opens(api, make_access_token(shop.tenant_id, user_id, uuid4(), policy, now))
    late = now - timedelta(seconds=policy.access_token_seconds + 1)
    assert not opens(api, make_access_token(shop.tenant_id, user_id, uuid4(), policy, late))


def test_a_disabled_user_is_out_at_once(api: ApiClient, shop: Shop) -> None:
    body = {"email": "staff@example.com", "name": "S", "role": "staff", "password": PASSWORD}
    user = shop.api.post("/api/v1/users", body).json
    tokens = login(api, "staff@example.com", tenant=shop.slug).json
    assert opens(api, tokens["access_token"])
    shop.api.patch(f"/api/v1/users/{user['id']}", {"is_disabled": True})
    assert not opens(api, tokens["access_token"])
    assert refresh(api, tokens["refresh_token"]).status == 401
    assert login(api, "staff@example.com", tenant=shop.slug).code == "invalid_login"


@pytest.mark.parametrize("role", sorted(ROLE_SCOPES))
def test_a_role_opens_its_scopes_and_no_others(api: ApiClient, shop: Shop, role: str) -> None:
    email = f"new-{role}@{shop.slug}.example"
    body = {"email": email, "name": role, "role": role, "password": PASSWORD}
    assert shop.api.post("/api/v1/users", body).status == 201
    client = api.with_token(login(api, email).json["access_token"])
    for scope, path in [
        ("catalog:read", "/api/v1/products"),
        ("customers:read", "/api/v1/customers"),
        ("orders:read", "/api/v1/orders"),
        ("inventory:read", "/api/v1/inventory"),
        ("users:read", "/api/v1/users"),
        ("keys:read", KEYS),
    ]:
        assert client.get(path).status == (200 if scope in ROLE_SCOPES[role] else 403), path
    made = client.post("/api/v1/categories", {"name": "C", "slug": f"c-{role}"})
    assert made.status == (201 if "catalog:write" in ROLE_SCOPES[role] else 403)


def test_nobody_makes_a_key_stronger_than_themselves(api: ApiClient, shop: Shop) -> None:
    scopes = ["keys:write", "catalog:read"]
    narrow = shop.api.post(KEYS, {"name": "narrow", "scopes": scopes}).json
    client = api.with_token(narrow["key"])
    refused = client.post(KEYS, {"name": "wide", "scopes": ["catalog:read", "orders:write"]})
    assert (refused.status, refused.code) == (422, "scope_not_allowed")
    assert "orders:write" in refused.json["detail"]
    assert client.post(KEYS, {"name": "all"}).json["scopes"] == sorted(scopes)
    assert client.post(KEYS, {"name": "none", "scopes": []}).code == "scope_not_allowed"


def test_a_publishable_key_reads_the_catalogue_and_nothing_else(api: ApiClient, shop: Shop) -> None:
    made = shop.api.post(KEYS, {"name": "storefront", "kind": "publishable"}).json
    assert made["key"].startswith("pk_")
    assert made["scopes"] == sorted(PUBLISHABLE_SCOPES)
    client = api.with_token(made["key"])
    assert client.get("/api/v1/products").status == 200
    for path in ("orders", "customers", "inventory", "tenant", "api_keys", "users"):
        assert client.get(f"/api/v1/{path}").status == 403
    refused = shop.api.post(KEYS, {"name": "x", "kind": "publishable", "scopes": ["orders:read"]})
    assert refused.code == "scope_not_allowed"


def test_a_key_is_shown_once_and_dies_when_revoked(app: App, api: ApiClient, shop: Shop) -> None:
    made = shop.api.post(KEYS, {"name": "program"}).json
    path = f"{KEYS}/{made['id']}"
    shown = shop.api.get(path)
    assert "key" not in shown.json
    assert made["key"].encode() not in shown.body
    assert made["key"].startswith(shown.json["prefix"])
    assert set(shown.json["scopes"]) == set(SCOPES)
    assert opens(api, made["key"])
    assert shop.api.get(path).json["last_used_at"] is not None
    assert shop.api.delete(path).status == 204
    assert not opens(api, made["key"])
    assert shop.api.get(path).json["revoked_at"] is not None
    assert shop.api.delete(path).status == 204


def test_a_key_dies_when_it_expires(app: App, api: ApiClient, shop: Shop) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    made = shop.api.post(KEYS, {"name": "short", "expires_at": soon.isoformat()}).json
    assert opens(api, made["key"])
    dead = shop.api.post(KEYS, {"name": "dead", "expires_at": "2020-01-01T00:00:00Z"})
    assert (dead.status, dead.code) == (422, "expired_already")
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        session.execute(
            text("UPDATE api_keys SET expires_at = now() WHERE id = :id"), {"id": made["id"]}
        )
    assert not opens(api, made["key"])


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer a b", "Bearer " + "x" * 5000, "sk_x"],
)
def test_other_credentials_are_refused(api: ApiClient, header: str) -> None:
    answered = api.get(TENANT, headers={"Authorization": header})
    assert (answered.status, answered.code) == (401, "invalid_credential")
    tells_how = "`Authorization: Bearer …`" in answered.json["detail"]
    assert tells_how == (len(header.split()) < 2 or header.startswith("Basic"))
    assert answered.headers["WWW-Authenticate"].startswith("Bearer")


def test_only_the_platform_makes_tenants(api: ApiClient, shop: Shop) -> None:
    assert shop.api.post("/api/v1/tenants", {}).status == 403
    assert api.with_token(PLATFORM_KEY).get("/api/v1/products").status == 403
    assert api.with_token(PLATFORM_KEY + "x").post("/api/v1/tenants", {}).status == 401


def test_weak_passwords_and_other_zones_are_refused(api: ApiClient) -> None:
    owner = {"email": "a@example.com", "name": "A", "password": "short"}
    body = {"name": "T", "slug": "weak", "currency": "USD", "timezone": "UTC", "owner": owner}
    refused = api.with_token(PLATFORM_KEY).post("/api/v1/tenants", body)
    assert refused.json["errors"][0]["pointer"] == "/owner/password"
    body = {**body, "owner": {**owner, "password": PASSWORD}, "timezone": "Mars/Olympus"}
    refused = api.with_token(PLATFORM_KEY).post("/api/v1/tenants", body)
    assert (refused.status, refused.code) == (422, "validation_failed")
    told = {"pointer": "/timezone", "detail": "Must be an IANA timezone, such as Europe/Rome."}
    assert refused.json["errors"] == [told]
    body = {**body, "slug": "A b", "currency": "EURO", "plan": "gold", "colour": "red"}
    body["owner"] = {"email": "a", "name": "", "password": "short"}
    refused = api.with_token(PLATFORM_KEY).post("/api/v1/tenants", body)
    assert {error["pointer"] for error in refused.json["errors"]} == {
        *("/slug", "/currency", "/plan", "/timezone", "/colour"),
        *("/owner/email", "/owner/name", "/owner/password"),
    }
    assert login(api, "a@example.com").code == "invalid_login"
