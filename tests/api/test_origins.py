"""Browsers ask before they send: what preflights cost, and that they are seen."""

import os
import re
import signal
import threading
import time
from math import ceil
from uuid import UUID, uuid4

import psycopg
import pytest

from shop_api.app import App
from shop_api.db.deadlines import ENDING_SECONDS
from shop_api.domains.tenants.service import ORIGIN_SECONDS, READING_SECONDS, OriginDirectory
from shop_api.metrics.definitions import REGISTRY
from shop_api.metrics.tally import tally
from tests.factories.rows import make_tenant
from tests.fixtures.api import Answered, Shop, raw
from tests.fixtures.processes import wait_until
from tests.fixtures.statements import statements
from tests.fixtures.stores import Database

APP_SETTINGS = {"cache_keeps_first": True, "credential_cache_seconds": 0.0}
PRODUCTS = "/api/v1/products"
TENANT = "/api/v1/tenant"


def preflight(app: App, origin: str, **headers: str) -> Answered:
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET", **headers}
    return raw(app, "OPTIONS", PRODUCTS, headers=asked)


def readable_by(answered: Answered) -> str | None:
    return answered.headers.get("Access-Control-Allow-Origin")


def test_however_many_origins_are_asked_of_the_list_is_read_now_and_then(
    app: App, database: Database
) -> None:
    listed = f"https://{uuid4().hex}.example"
    make_tenant(database, cors_origins=[listed])
    wait_until(lambda: readable_by(preflight(app, listed)) == listed, ORIGIN_SECONDS + 5)
    started = time.monotonic()
    with statements(app.services.engine) as sent:
        answers = [preflight(app, f"https://o{number}.example") for number in range(500)]
        assert readable_by(preflight(app, listed)) == listed
    assert {(answered.status, readable_by(answered)) for answered in answers} == {(204, None)}
    times = ceil((time.monotonic() - started) / ORIGIN_SECONDS)
    assert len(sent) <= 2 * (times + 1)


def test_an_origin_is_known_while_some_tenant_lists_it(app: App, shop: Shop) -> None:
    one, two = (f"https://{uuid4().hex}.example" for _ in range(2))

    def may_ask(origin: str) -> bool:
        return readable_by(preflight(app, origin)) == origin

    shop.api.patch(TENANT, {"cors_origins": [one, two]})
    wait_until(lambda: may_ask(one) and may_ask(two), ORIGIN_SECONDS + 5)
    shop.api.patch(TENANT, {"cors_origins": [two]})
    wait_until(lambda: not may_ask(one), ORIGIN_SECONDS + 5)
    assert may_ask(two)


def test_a_preflight_is_named_and_counted(app: App) -> None:
    def count() -> float:
        tally.flush()
        labels = {"method": "OPTIONS", "endpoint": "none", "status": "204"}
        return REGISTRY.get_sample_value("api_requests_total", labels) or 0.0

    before = count()
    named = {"X-Request-ID": "of-a-page"}
    assert preflight(app, "https://x.example", **named).headers["X-Request-ID"] == "of-a-page"
    made = preflight(app, "https://x.example").headers["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert count() == before + 2


def test_a_kept_answer_is_marked_for_who_asks_alone(shop: Shop) -> None:
    one, two = "https://one.example", "https://two.example"
    shop.api.patch(TENANT, {"cors_origins": [one, two]})
    found = [
        shop.api.get(PRODUCTS, headers={"Origin": origin} if origin else {})
        for origin in (one, two, None, "https://three.example", one)
    ]
    assert [readable_by(answered) for answered in found] == [one, two, None, None, one]
    assert {answered.headers["Cache-Status"][:13] for answered in found[1:]} == {"shop-api; hit"}


@pytest.fixture
def directory(database: Database) -> OriginDirectory:
    return OriginDirectory(database.engine)


def test_the_list_is_of_all_tenants(database: Database, directory: OriginDirectory) -> None:
    with psycopg.connect(database.migrator_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO tenants (id, name, slug, plan, currency, timezone, cors_origins,"
            " created_at, updated_at) SELECT gen_random_uuid(), 'x', 'filler-' || n, 'free',"
            " 'USD', 'UTC', ARRAY['https://' || n || '.example', 'https://all.example'],"
            " now(), now() FROM generate_series(1, 20000) n"
        )
    assert directory.is_known("https://1.example")
    assert directory.is_known("https://20000.example")
    assert directory.is_known("https://all.example")
    for other in ("https://0.example", "", "https://20001.example"):
        assert not directory.is_known(other)


def test_a_database_that_hangs_holds_one_thread_for_its_time(
    database: Database, tenant_id: UUID, directory: OriginDirectory
) -> None:
    listed = f"https://{uuid4().hex}.example"
    make_tenant(database, cors_origins=[listed])
    assert directory.is_known(listed)
    with database.engine.begin() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    time.sleep(ORIGIN_SECONDS)
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        first = threading.Thread(target=directory.is_known, args=(listed,))
        first.start()
        time.sleep(0.2)
        # the others are answered as of before
        assert directory.is_known(listed)
        assert first.is_alive()
        first.join(READING_SECONDS + 2 * ENDING_SECONDS + 1)
        assert not first.is_alive()
        assert time.monotonic() - started > 1
        assert directory.is_known(listed)
    finally:
        os.kill(pid, signal.SIGCONT)
