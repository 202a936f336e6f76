"""What refusals and failures log at level DEBUG holds no secret and nothing personal."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from shop_api.settings import Settings
from tests.fixtures.api import PLATFORM_KEY
from tests.fixtures.processes import free_port, process_environment, running, wait_until
from tests.fixtures.realtime import GUNICORN
from tests.fixtures.servers import ApiServer, api_server
from tests.fixtures.stores import Database

LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
CUSTOMERS = "/api/v1/customers"
PRODUCTS = "/api/v1/products"
FAILING_TRIGGER = """
CREATE FUNCTION fail_on_name() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'not %', NEW.name; END $$;
CREATE TRIGGER fail_on_name BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION fail_on_name();
"""
# the access log gathers lines before it writes them
GATHER_SECONDS = 0.5
# what is told of a store that is away
AWAY = "OperationalError (nothing listens there)"


class Secrets:
    """Texts that no log may hold, each made for this run."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def make(self, name: str) -> str:
        return self.keep(name, f"{name.replace('_', '-')}-{uuid4().hex}")

    def keep(self, name: str, value: str) -> str:
        self.known[f"{name} {len(self.known)}"] = value
        return value

    def in_log(self, log: Path) -> list[str]:
        """The names of those it holds, in any of the forms they may be written in."""
        text = log.read_text()
        return [
            name
            for name, value in self.known.items()
            if value in text or quote(value, safe="") in text or value.encode().hex() in text
        ]


@pytest.fixture(scope="module")
def secrets() -> Secrets:
    found = Secrets()
    found.keep("platform_key", PLATFORM_KEY)
    return found


@pytest.fixture(scope="module")
def settings(
    database: Database,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    secrets: Secrets,
) -> Settings:
    folder = tmp_path_factory.mktemp("data")
    secret_key = secrets.make("secret_key")
    old = secrets.make("old_secret_key")
    return database.settings(folder, redis_url, secret_key=secret_key, accepted_secret_keys=[old])


@pytest.fixture(scope="module")
def program(settings: Settings) -> Iterator[ApiServer]:
    (old,) = settings.accepted_secret_keys
    changes: dict[str, Any] = {"log_level": "DEBUG", "accepted_secret_keys": json.dumps([old])}
    with api_server(settings, settings.data_dir / "api.log", **changes) as found:
        yield found


def open_shop(program: ApiServer, secrets: Secrets) -> dict[str, str]:
    """A shop's credentials, each kept as a secret."""
    slug = f"shop-{uuid4().hex[:8]}"
    owner = {
        "email": secrets.keep("email", f"owner-{uuid4().hex}@{slug}.example"),
        "name": secrets.make("owner_name"),
        "password": secrets.make("password"),
    }
    body = {"name": "Shop", "slug": slug, "currency": "USD", "timezone": "UTC", "owner": owner}
    assert program.call("POST", "/api/v1/tenants", body, token=PLATFORM_KEY).status == 201
    login = {"email": owner["email"], "password": owner["password"]}
    signed_in = program.call("POST", LOGIN, login)
    assert signed_in.status == 200
    tokens = signed_in.json
    access = secrets.keep("access_token", tokens["access_token"])
    secrets.keep("signature", access.rpartition(".")[2])
    secrets.keep("refresh_token", tokens["refresh_token"])
    made = program.call("POST", "/api/v1/api_keys", {"name": "program"}, token=access)
    assert made.status == 201
    return {**login, **tokens, "key": secrets.keep("api_key", made.json["key"])}


def test_refusals_log_no_secret(program: ApiServer, secrets: Secrets) -> None:
    shop = open_shop(program, secrets)
    key, wrong = shop["key"], secrets.make("wrong_password")
    statuses = [
        heard.status
        for heard in (
            program.call("GET", f"/api/v1/products?api_key={key}&token={shop['access_token']}"),
            program.call("GET", f"/api/v1/{key}", token=key),
            program.call("GET", f"/api/v1/products/{key}", token=key),
            program.call("GET", PRODUCTS, token=key[:-1] + "x"),
            program.call("GET", PRODUCTS, token=shop["access_token"][:-4] + "AAAA"),
            program.call("GET", PRODUCTS, headers={"Authorization": f"Basic {key}"}),
            program.call("GET", f"/api/v1/products?after={secrets.make('cursor')}", token=key),
            program.call("GET", PRODUCTS, token=key, headers={"X-Request-ID": f"{key}!"}),
            program.call("POST", LOGIN, {"email": shop["email"], "password": wrong}),
            program.call("POST", LOGIN, {"email": shop["email"], "passwort": wrong}),
            program.call("POST", LOGIN, [wrong]),
            program.call("POST", LOGIN, {"email": wrong, "password": wrong * 50}),
            program.call("POST", REFRESH, {"refresh_token": f"rt_{wrong}"}),
            program.call("POST", REFRESH, {"refresh_token": key}),
            program.call("POST", "/api/v1/users", {"email": wrong, "password": wrong}, token=key),
            program.call("POST", CUSTOMERS, {"email": shop["email"], "x": wrong}, token=key),
            program.call(
                "POST",
                CUSTOMERS,
                token=key,
                headers={"Idempotency-Key": f"{wrong}\u00e9"},
            ),
            program.call(
                "POST", "/api/v1/batch", {"requests": [{"path": f"//{wrong}"}]}, token=key
            ),
            program.call(
                "POST",
                CUSTOMERS,
                {},
                token=key,
                headers={"Content-Type": f"text/{wrong}"},
            ),
            program.call("DELETE", PRODUCTS, {"password": wrong}, token=key),
        )
    ]
    assert {400, 401, 404, 405, 422} <= set(statuses)
    assert max(statuses) < 500
    refresh = {"refresh_token": shop["refresh_token"]}
    assert program.call("POST", REFRESH, refresh).status == 200
    assert program.call("POST", REFRESH, refresh).status == 401
    time.sleep(GATHER_SECONDS)
    assert program.log.read_text().count('"message":"request"') > 20
    assert secrets.in_log(program.log) == []


def test_conflicts_log_nothing_of_what_was_sent(program: ApiServer, secrets: Secrets) -> None:
    key = open_shop(program, secrets)["key"]
    user = {
        "email": secrets.keep("email", f"staff-{uuid4().hex}@example.com"),
        "name": secrets.make("name"),
        "role": "staff",
        "password": secrets.make("password"),
    }
    assert program.call("POST", "/api/v1/users", user, token=key).status == 201
    assert program.call("POST", "/api/v1/users", user, token=key).status == 409
    time.sleep(GATHER_SECONDS)
    assert secrets.in_log(program.log) == []


def test_errors_nobody_expects_log_no_secret(
    program: ApiServer, secrets: Secrets, database: Database
) -> None:
    key = open_shop(program, secrets)["key"]
    user = {
        "email": secrets.keep("email", f"staff-{uuid4().hex}@example.com"),
        "name": secrets.make("name"),
        "role": "staff",
        "password": secrets.make("password"),
    }
    # an error whose message holds the value itself, and one of a statement that has it
    database.server.execute(FAILING_TRIGGER, database.name)
    rename = "ALTER TABLE customers RENAME COLUMN"
    database.server.execute(f"{rename} last_name TO family_name", database.name)
    with ExitStack() as mended:
        back = f"{rename} family_name TO last_name"
        mended.callback(database.server.execute, back, database.name)
        drop = "DROP FUNCTION fail_on_name CASCADE"
        mended.callback(database.server.execute, drop, database.name)
        assert program.call("POST", "/api/v1/users", user, token=key).status == 500
        customer = {"first_name": user["name"], "last_name": user["name"]}
        assert program.call("POST", CUSTOMERS, customer, token=key).status == 500
    time.sleep(GATHER_SECONDS)
    assert "unexpected" in program.log.read_text()
    assert secrets.in_log(program.log) == []


def test_stores_that_are_away_are_named_without_their_passwords(
    settings: Settings, secrets: Secrets, tmp_path: Path
) -> None:
    database_password, redis_password = secrets.make("database"), secrets.make("redis")
    away = settings.model_copy(
        update={
            "database_url": f"postgresql://shop_app:{database_password}@127.0.0.1:{free_port()}/x",
            "exporter_database_url": f"postgresql://shop_exporter:{database_password}@127.0.0.1:1/x",
            "redis_url": f"redis://:{redis_password}@127.0.0.1:{free_port()}/0",
        }
    )
    changes: dict[str, Any] = {"log_level": "DEBUG"}
    log = tmp_path / "away.log"
    with api_server(away, log, **changes) as program:
        body = {"email": "nobody@example.com", "password": secrets.make("password")}
        assert program.call("POST", LOGIN, body).status == 503
        assert program.call("GET", PRODUCTS, token=secrets.make("sk_")).status in (
            401,
            503,
        )
        program.call("GET", "/health/ready")
        program.call("GET", "/metrics", token=PLATFORM_KEY)
    environment = process_environment(away, realtime_port=free_port(), **changes)
    for number, command in enumerate(
        (["-m", "shop_api.worker"], [*GUNICORN, "shop_api.realtime.wsgi:app"])
    ):
        own = tmp_path / f"{number}.log"
        with running(command, environment, own):
            wait_until(lambda own=own: own.exists() and AWAY in own.read_text(), 30)  # type: ignore[misc]
            time.sleep(1)
        log.write_text(log.read_text() + own.read_text())
    assert AWAY in log.read_text()
    assert secrets.in_log(log) == []
