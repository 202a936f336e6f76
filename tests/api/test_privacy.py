"""What must not be seen: costs and drafts by a storefront, personal data and secrets in the log."""

import logging
from hashlib import sha256

import pytest
from sqlalchemy import text

from shop_api.app import App, create_app
from shop_api.db.engines import check_role, make_engine
from shop_api.db.tenancy import tenant_session
from tests.fixtures.api import PASSWORD, Shop
from tests.fixtures.stores import Database


def test_a_publishable_key_sees_what_is_for_sale_and_no_cost(shop: Shop) -> None:
    active = shop.product(cost_price=3)
    draft = shop.product(status="draft", cost_price=3)
    key = shop.api.post("/api/v1/api_keys", {"name": "page", "kind": "publishable"}).json["key"]
    page = shop.api.with_token(key)
    listed = page.get("/api/v1/products", query={"include_total": "true"}).json
    assert [product["id"] for product in listed["data"]] == [active["id"]]
    assert listed["total"] == 1
    assert listed["data"][0]["cost_price"] is None
    assert page.get(f"/api/v1/products/{active['id']}").json["cost_price"] is None
    assert page.get(f"/api/v1/products/{draft['id']}").status == 404
    assert page.get("/api/v1/products", query={"status": "draft"}).json["data"] == []
    assert shop.api.get(f"/api/v1/products/{active['id']}").json["cost_price"] == 3


def test_a_refusal_by_the_database_logs_no_values(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = {"email": "ada@secret.example", "first_name": "Ada", "phone": "555-0100"}
    assert shop.api.post("/api/v1/customers", body).status == 201
    assert shop.api.post("/api/v1/customers", body).status == 409
    user = {"email": "u@secret.example", "name": "U", "role": "staff", "password": PASSWORD}
    assert shop.api.post("/api/v1/users", user).status == 201
    assert shop.api.post("/api/v1/users", user).status == 409
    for secret in ("secret.example", "555-0100", "argon2"):
        assert secret not in caplog.text


def test_a_password_is_not_kept_as_a_digest_that_can_be_guessed(app: App, shop: Shop) -> None:
    login = f'{{"email": "{shop.email}", "password": "{PASSWORD}"}}'.encode()
    answered = shop.api.with_token(None).post(
        "/api/v1/auth/login", data=login, content_type="application/json", key="login-1"
    )
    assert answered.status == 200
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        digests = set(
            session.execute(text("SELECT request_digest FROM idempotency_records")).scalars()
        )
    guess = sha256(b"\n".join((b"", b"application/json", login))).digest()
    assert guess not in {bytes(digest) for digest in digests}


def test_the_api_refuses_roles_that_see_all_tenants(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = database.settings(tmp_path_factory.mktemp("data"), redis_url)
    database.server.execute("DROP ROLE IF EXISTS reads_both")
    database.server.execute("CREATE ROLE reads_both LOGIN IN ROLE shop_app, shop_exporter")
    for role in (None, "shop_migrator", "shop_exporter", "reads_both"):
        url = database.server.url(database.name, role)
        engine = make_engine(url, settings, statement_timeout_seconds=5)
        assert not check_role(engine).is_safe
        engine.dispose()
        with pytest.raises(RuntimeError, match="row-level security does not bind"):
            create_app(settings.model_copy(update={"database_url": url}))
    database.server.execute("DROP ROLE reads_both")
