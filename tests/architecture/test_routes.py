"""Every route declares what it needs, and the application holds each to it."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert
from werkzeug.routing import Rule
from werkzeug.test import Client

from shop_api.app import App, create_app
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.ids import new_id
from shop_api.kernel.principal import ANY, METRICS, PLATFORM, PUBLIC, SCOPES
from shop_api.models import api_keys
from tests.factories.rows import NOW, make_tenant
from tests.fixtures.stores import Database

HOST = "http://localhost"


@pytest.fixture(scope="module")
def app(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    folder: Path = tmp_path_factory.mktemp("routes")
    built = create_app(database.settings(folder, redis_url))
    yield built
    built.close()


def make_key(database: Database, tenant_id: UUID, scopes: list[str]) -> str:
    key = f"sk_{uuid4().hex}"
    with tenant_session(database.engine, tenant_id) as session:
        session.execute(
            insert(api_keys).values(
                tenant_id=tenant_id,
                id=new_id(NOW),
                name="test",
                kind="secret",
                prefix=key[:11],
                key_hash=sha256(key.encode()).digest(),
                scopes=scopes,
                created_at=NOW,
                updated_at=NOW,
            )
        )
    return key


def routes(app: App) -> list[tuple[Rule, str]]:
    """Every rule with each of its own methods."""
    return [
        (rule, method)
        for rule in app.flask.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def scope_of(app: App, rule: Rule) -> str | None:
    scope: str | None = getattr(app.flask.view_functions[rule.endpoint], "scope", None)
    return scope


def address(app: App, rule: Rule) -> str:
    """A path that matches the rule."""
    values = {name: uuid4() if kind == "IdConverter" else 1 for name, kind in converters(rule)}
    return app.flask.url_map.bind("localhost").build(rule.endpoint, values)


def converters(rule: Rule) -> list[tuple[str, str]]:
    return [(name, type(made).__name__) for name, made in rule._converters.items()]


def asked(app: App, rule: Rule, method: str, key: str | None) -> tuple[int, str | None]:
    """The status and the problem's code of a request without a body."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    response = Client(app).open(address(app, rule), method=method, base_url=HOST, headers=headers)
    is_problem = response.content_type == "application/problem+json"
    return response.status_code, response.get_json()["code"] if is_problem else None


def test_every_route_declares_a_known_scope(app: App) -> None:
    known = {*SCOPES, ANY, PUBLIC, PLATFORM, METRICS}
    undeclared = [
        f"{method} {rule.rule}: {scope_of(app, rule)}"
        for rule, method in routes(app)
        if scope_of(app, rule) not in known
    ]
    assert not undeclared


def test_reading_never_needs_a_scope_to_write(app: App) -> None:
    for rule, method in routes(app):
        scope = scope_of(app, rule) or ""
        assert not (method == "GET" and scope.endswith(":write")), rule.rule


def test_every_route_lies_below_the_version_or_is_for_operators(app: App) -> None:
    ways_in = {"/", "/api", "/api/v1"}
    outside = {rule.rule for rule, _ in routes(app) if not rule.rule.startswith("/api/v1/")}
    outside -= ways_in
    assert all(path.startswith(("/health/", "/metrics", "/api/docs")) for path in outside)


def test_every_operation_says_what_it_does(app: App) -> None:
    document = app.flask.extensions["shop_api.openapi"].to_dict()
    silent = [
        f"{method} {path}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"} and not operation.get("summary")
    ]
    assert not silent


def test_without_a_credential_nothing_but_the_public_answers(app: App) -> None:
    for rule, method in routes(app):
        if scope_of(app, rule) != PUBLIC:
            found = asked(app, rule, method, None)
            assert found == (401, "unauthenticated"), f"{method} {rule.rule}"


@pytest.mark.parametrize(
    ("path", "name"), [("/api/v1/tenants", "platform_key"), ("/metrics", "metrics_key")]
)
def test_an_operator_is_told_which_key_opens_what_is_his(app: App, path: str, name: str) -> None:
    refused = Client(app).get(path)
    assert refused.status_code == 401
    assert refused.json is not None
    assert f"the file {name} of the data folder" in refused.json["detail"]
    document = app.flask.extensions["shop_api.openapi"].to_dict()
    bearer = document["components"]["securitySchemes"]["bearer"]["description"]
    assert name.replace("_", " ") in bearer


def test_without_the_scope_nothing_answers(app: App, database: Database) -> None:
    tenant_id = make_tenant(database)
    bare = make_key(database, tenant_id, [])
    for rule, method in routes(app):
        scope = scope_of(app, rule)
        if scope not in (ANY, PUBLIC):
            found = asked(app, rule, method, bare)
            assert found == (403, "insufficient_scope"), f"{method} {rule.rule}"
            others = make_key(database, tenant_id, sorted(SCOPES.keys() - {scope}))
            found = asked(app, rule, method, others)
            assert found == (403, "insufficient_scope"), f"{method} {rule.rule}"


def test_with_the_scope_every_route_lets_in(app: App, database: Database) -> None:
    tenant_id = make_tenant(database)
    for rule, method in routes(app):
        scope = scope_of(app, rule)
        if scope in SCOPES:
            status, code = asked(app, rule, method, make_key(database, tenant_id, [scope]))
            assert status not in (401, 403, 500), f"{method} {rule.rule} {code}"


def test_the_platform_key_opens_no_tenant(app: App) -> None:
    for rule, method in routes(app):
        if scope_of(app, rule) in {*SCOPES, METRICS}:
            found = asked(app, rule, method, app.services.platform_key)
            assert found == (403, "insufficient_scope"), f"{method} {rule.rule}"


def test_the_metrics_key_opens_the_metrics_alone(app: App) -> None:
    for rule, method in routes(app):
        scope = scope_of(app, rule)
        if scope not in (PUBLIC, METRICS):
            found = asked(app, rule, method, app.services.settings.metrics_key)
            assert found == (403, "insufficient_scope"), f"{method} {rule.rule}"
