"""The audit log: every mutation with what was there before and after, and nobody's secrets."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.principal import ROLE_SCOPES
from shop_api.spine.audit import MASK
from tests.factories.operations import Operation, make_request, operations
from tests.fixtures.api import PASSWORD, Answered, ApiClient, Shop

LOG = "/api/v1/audit_log"
# they change nothing a person would look for in the log
UNTOLD = {
    "refresh": "renewing a sign-in goes on every quarter of an hour",
    "create_ticket": "a ticket lives a minute, in Redis",
    "run_batch": "its requests are told each",
    "track_events": "what visitors do changes nothing of the tenant's",
    "create_tenant": "told in the new tenant's own log",
}
MUTATIONS = [o for o in operations() if not o.is_read and o.id not in UNTOLD]


def entries(shop: Shop, **filters: Any) -> list[dict[str, Any]]:
    answered = shop.api.get(LOG, query={"limit": 100, **filters})
    assert answered.status == 200, answered.body
    found: list[dict[str, Any]] = answered.json["data"]
    return found


@pytest.mark.parametrize("operation", MUTATIONS, ids=str)
def test_every_mutation_tells_what_was_before_and_after(shop: Shop, operation: Operation) -> None:
    request_id = uuid4().hex
    answered = make_request(operation, shop).send(headers={"X-Request-ID": request_id})
    assert answered.status < 300, answered.body
    told = entries(shop, request_id=request_id)
    assert told
    for entry in told:
        assert entry["before"] is not None or entry["after"] is not None
        is_masked = MASK in (entry["before"] or {}).values()
        assert entry["before"] != entry["after"] or is_masked
        if entry["action"].endswith(("_created", "_placed")):
            assert entry["before"] is None
            assert entry["after"]
        if entry["action"].endswith("_deleted"):
            assert entry["before"]
            assert entry["after"] is None


def test_a_change_shows_only_what_it_changed(shop: Shop) -> None:
    product = shop.product()
    path = f"/api/v1/products/{product['id']}"
    shop.api.patch(path, {"name": "Other", "status": product["status"]})
    (entry,) = entries(shop, action="product_updated")
    assert entry["before"] == {"name": product["name"]}
    assert entry["after"] == {"name": "Other"}
    assert (entry["subject_type"], entry["subject_id"]) == ("product", product["id"])
    assert shop.api.get(f"{LOG}/{entry['id']}").json == entry


def test_filters_leave_what_they_say(shop: Shop) -> None:
    product = shop.product()
    category = shop.api.post("/api/v1/categories", {"name": "C", "slug": "c"}).json
    key = shop.api.get("/api/v1/api_keys").json["data"][0]["id"]
    (made,) = entries(shop, subject_id=product["id"])
    assert made["action"] == "product_created"
    assert [e["subject_id"] for e in entries(shop, subject_type="category")] == [category["id"]]
    by_key = entries(shop, actor=f"api_key:{key}")
    assert [entry["action"] for entry in by_key] == ["category_created", "product_created"]
    newest, older = by_key
    after = entries(shop, created_after=older["created_at"])
    assert after == [newest]
    before = entries(shop, created_before=newest["created_at"])
    assert older["id"] in [entry["id"] for entry in before]
    assert newest["id"] not in [entry["id"] for entry in before]
    assert entries(shop, action="nothing_happened") == []


def test_secrets_and_personal_data_are_masked(shop: Shop) -> None:
    user = {"email": "grace@secret.example", "name": "G", "role": "staff", "password": PASSWORD}
    made = shop.api.post("/api/v1/users", user).json
    shop.api.patch(f"/api/v1/users/{made['id']}", {"password": "a-new-secret-password"})
    customer = {"email": "ada@secret.example", "first_name": "Adalyn", "phone": "555-0100"}
    customer_id = shop.api.post("/api/v1/customers", customer).json["id"]
    shop.api.patch(f"/api/v1/customers/{customer_id}", {"email": "ada2@secret.example"})
    key = shop.api.post("/api/v1/api_keys", {"name": "k"}).json["key"]
    everything = shop.api.get(LOG, query={"limit": 100}).body.decode()
    for secret in (PASSWORD, "a-new-secret-password", key, "argon2", "ada@", "Adalyn", "555-0100"):
        assert secret not in everything
    (changed,) = entries(shop, action="customer_updated")
    assert (changed["before"], changed["after"]) == ({"email": "***"}, {"email": "***"})
    (changed,) = entries(shop, action="user_updated")
    assert (changed["before"], changed["after"]) == ({"password": None}, {"password": "***"})
    # the tenant's own people are told by their address
    assert entries(shop, subject_id=made["id"])[-1]["after"]["email"] == "grace@secret.example"


@pytest.mark.parametrize("role", sorted(ROLE_SCOPES))
def test_owners_and_admins_read_it(api: ApiClient, shop: Shop, role: str) -> None:
    email = f"{role}@{shop.slug}.example"
    body = {"email": email, "name": role, "role": role, "password": PASSWORD}
    shop.api.post("/api/v1/users", body)
    login: Answered = api.post("/api/v1/auth/login", {"email": email, "password": PASSWORD})
    reader = api.with_token(login.json["access_token"])
    assert reader.get(LOG).status == (200 if role in ("owner", "admin") else 403)


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_entries SET actor = 'x'", "DELETE FROM audit_entries"]
)
def test_nobody_rewrites_it(app: App, shop: Shop, statement: str) -> None:
    with (
        pytest.raises(DBAPIError, match="permission denied"),
        tenant_session(app.services.engine, shop.tenant_id) as session,
    ):
        session.execute(text(statement))


def test_a_refused_change_leaves_no_entry(shop: Shop) -> None:
    before = len(entries(shop))
    body = {"email": shop.email, "name": "x", "role": "viewer", "password": PASSWORD}
    assert shop.api.post("/api/v1/users", body).status == 409
    assert len(entries(shop)) == before
