"""Idempotency keys, for every mutation of the OpenAPI document."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from shop_api.app import App
from shop_api.db.tenancy import PLATFORM_TENANT, tenant_session
from shop_api.kernel.principal import PLATFORM
from tests.factories.operations import (
    BOUNDARY,
    Operation,
    import_form,
    make_request,
    operations,
)
from tests.fixtures.api import Answered, ApiClient, Shop, open_shop

# what brings ids of its own keeps no answer (test_tracking.py)
KEYED = [one for one in operations() if "x-idempotent-by" not in one.document]
MUTATIONS = [operation for operation in KEYED if not operation.is_read]
SECRETS = ("access_token", "refresh_token", "key", "ticket", "token", "secret")
# a batch may hold any other answer; signing out answers nothing, though its request is a secret
KEPT_ENCRYPTED = {"run_batch"}
# of the request, not of the answer
OWN_HEADERS = {"X-Request-ID", "Idempotency-Replayed", "RateLimit"}

every_mutation = pytest.mark.parametrize("operation", MUTATIONS, ids=str)


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Shop:
    """One shop for all: each test has its own keys."""
    return open_shop(api)


@pytest.fixture
def fresh(api: ApiClient) -> Shop:
    """A shop without records."""
    return open_shop(api)


@pytest.fixture(scope="module")
def stranger(api: ApiClient) -> ApiClient:
    """Another tenant's client."""
    return open_shop(api).api


def kept_headers(answered: Answered) -> dict[str, str]:
    return {name: value for name, value in answered.headers.items() if name not in OWN_HEADERS}


def is_replay(answered: Answered) -> bool:
    return answered.headers.get("Idempotency-Replayed") == "true"


def effects(engine: Engine, shop: Shop) -> tuple[int, int]:
    """How much the shop's tenant has written down."""
    with tenant_session(engine, shop.tenant_id) as session:
        row = session.execute(
            text("SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM audit_entries)")
        ).one()
    return row[0], row[1]


@every_mutation
def test_a_key_replays_its_answer(app: App, shop: Shop, operation: Operation) -> None:
    request = make_request(operation, shop)
    key = uuid4().hex
    first = request.send(key=key)
    assert first.status < 300, first.body
    assert not is_replay(first)
    before = effects(app.services.engine, shop)
    for spelled in (key, f'"{key}"', f' "{key}" '):
        again = request.send(key=spelled)
        assert is_replay(again)
        assert (again.status, again.body) == (first.status, first.body)
        assert kept_headers(again) == kept_headers(first)
    assert effects(app.services.engine, shop) == before
    # another body under the key; where the body says who asks, it must still say so
    reused = request.send(key=key, **request.other())
    assert (reused.status, reused.code) == (422, "idempotency_key_reused")
    assert effects(app.services.engine, shop) == before


@every_mutation
def test_a_refusal_is_not_kept(shop: Shop, operation: Operation) -> None:
    request = make_request(operation, shop)
    key = uuid4().hex
    refused = request.send(key=key, query={"nonsense": "1"})
    assert (refused.status, refused.code) == (400, "unknown_parameter")
    assert request.send(key=key).status < 300


@every_mutation
def test_a_key_is_its_principals_own(shop: Shop, stranger: ApiClient, operation: Operation) -> None:
    request = make_request(operation, shop)
    key = uuid4().hex
    assert request.send(key=key).status < 300
    if request.api.token != shop.api.token:
        return  # the platform's key, or nobody: there is no second one of the same tenant
    colleague = shop.api.post("/api/v1/api_keys", {"name": "colleague"}).json["key"]
    assert not is_replay(request.send(key=key, api=shop.api.with_token(colleague)))
    assert not is_replay(request.send(key=key, api=stranger))


@every_mutation
def test_secrets_are_kept_encrypted(app: App, shop: Shop, operation: Operation) -> None:
    request = make_request(operation, shop)
    key = uuid4().hex
    answered = request.send(key=key)
    tenant_id = PLATFORM_TENANT if operation.scope == PLATFORM else shop.tenant_id
    with tenant_session(app.services.engine, tenant_id) as session:
        row = session.execute(
            text("SELECT body, is_encrypted FROM idempotency_records ORDER BY created_at DESC")
        ).first()
    assert row is not None
    secrets = [answered.json[name] for name in SECRETS if answered.body and name in answered.json]
    assert row.is_encrypted == (bool(secrets) or operation.id in KEPT_ENCRYPTED)
    for secret in secrets:
        assert secret.encode() not in bytes(row.body)
    if not row.is_encrypted:
        assert bytes(row.body) == answered.body


def test_the_record_never_holds_the_key_itself(app: App, fresh: Shop) -> None:
    fresh.api.post("/api/v1/customers", {"first_name": "Ada"}, key="plain-key")
    with tenant_session(app.services.engine, fresh.tenant_id) as session:
        rows = session.execute(text("SELECT r::text FROM idempotency_records r")).scalars().all()
    assert len(rows) == 1
    assert "plain-key" not in rows[0]
    assert b"plain-key".hex() not in rows[0]


@pytest.mark.parametrize("key", ["", '""', "   ", "a" * 256, "grün", "a\tb", "\x7f"])
def test_keys_of_another_form_are_refused(fresh: Shop, key: str) -> None:
    answered = fresh.api.post("/api/v1/customers", {"first_name": "Ada"}, key=key)
    assert (answered.status, answered.code) == (400, "invalid_idempotency_key")
    assert fresh.api.get("/api/v1/customers").json["data"] == []


@pytest.mark.parametrize("key", ["a" * 255, "~", "a b", '"' + "a" * 255 + '"', 'say "hi"'])
def test_any_printable_key_will_do(fresh: Shop, key: str) -> None:
    assert fresh.api.post("/api/v1/customers", {"first_name": "Ada"}, key=key).status == 201
    assert is_replay(fresh.api.post("/api/v1/customers", {"first_name": "Ada"}, key=key))


def test_the_same_key_elsewhere_is_another_key(fresh: Shop) -> None:
    body = {"first_name": "Ada"}
    customer = fresh.api.post("/api/v1/customers", body, key="key-1").json
    path = f"/api/v1/customers/{customer['id']}"
    assert not is_replay(fresh.api.patch(path, body, key="key-1"))
    assert not is_replay(fresh.api.delete(path, key="key-1"))
    assert is_replay(fresh.api.delete(path, key="key-1"))


def test_the_same_key_at_once_has_one_effect(fresh: Shop) -> None:
    product = fresh.product(quantity=100)
    line = (product["variants"][0]["id"], 1)

    def place(_: int) -> tuple[int, str]:
        answered = fresh.order(line, key="key-1")
        if answered.status == 201:
            return 201, "replayed" if is_replay(answered) else "first"
        assert answered.headers["Retry-After"] == "1"
        return answered.status, answered.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = Counter(pool.map(place, range(24)))
    assert outcomes[201, "first"] == 1
    assert set(outcomes) <= {
        (201, "first"),
        (201, "replayed"),
        (409, "idempotency_key_in_flight"),
    }
    assert len(fresh.api.get("/api/v1/orders").json["data"]) == 1
    assert is_replay(fresh.order(line, key="key-1"))


def test_while_the_first_runs_the_second_is_told_to_wait(app: App, fresh: Shop) -> None:
    """The lock is the transaction's own: held here as a request that has not finished holds it."""
    fresh.api.post("/api/v1/customers", {"first_name": "Ada"}, key="key-1")
    with tenant_session(app.services.engine, fresh.tenant_id) as session:
        digest = session.execute(text("SELECT key_digest FROM idempotency_records")).scalar_one()
        session.execute(text("DELETE FROM idempotency_records"))
    lock_key = int.from_bytes(bytes(digest)[:8], "big", signed=True)
    with tenant_session(app.services.engine, fresh.tenant_id, lock_key):
        waiting = fresh.api.post("/api/v1/customers", {"first_name": "Ada"}, key="key-1")
    assert (waiting.status, waiting.code) == (409, "idempotency_key_in_flight")
    assert waiting.headers["Retry-After"] == "1"
    assert fresh.api.post("/api/v1/customers", {"first_name": "Ada"}, key="key-1").status == 201


def test_a_key_is_forgotten_after_its_time(app: App, fresh: Shop) -> None:
    body = {"first_name": "Ada"}
    first = fresh.api.post("/api/v1/customers", body, key="key-1").json
    with tenant_session(app.services.engine, fresh.tenant_id) as session:
        created, expires = session.execute(
            text("SELECT created_at, expires_at FROM idempotency_records")
        ).one()
        assert expires - created == timedelta(hours=24)
        session.execute(text("UPDATE idempotency_records SET expires_at = now()"))
    second = fresh.api.post("/api/v1/customers", body, key="key-1")
    assert not is_replay(second)
    assert second.json["id"] != first["id"]
    assert is_replay(fresh.api.post("/api/v1/customers", body, key="key-1"))


def test_a_form_sent_again_between_other_boundaries_is_the_same(fresh: Shop) -> None:
    """What curl and browsers send on a second try."""
    data, content_type = import_form()

    def send(data: bytes, boundary: str) -> Answered:
        return fresh.api.call(
            "POST",
            "/api/v1/imports",
            data=data.replace(BOUNDARY.encode(), boundary.encode()),
            content_type=content_type.replace(BOUNDARY, f'"{boundary}"'),
            key="upload",
        )

    first = send(data, "one")
    assert first.status == 202, first.body
    again = send(data, "another")
    assert (is_replay(again), again.body) == (True, first.body)
    assert send(data.replace(b"Apple", b"Pear"), "another").code == "idempotency_key_reused"


def test_parameters_of_the_content_type_do_not_make_another_request(fresh: Shop) -> None:
    send = partial(fresh.api.call, "POST", "/api/v1/customers", data=b"{}", key="spelled")
    first = send(content_type="application/json")
    again = send(content_type="application/json; charset=utf-8")
    assert (first.status, is_replay(again)) == (201, True)
