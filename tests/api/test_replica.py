"""Reads go to the replica, and to the primary when it cannot be reached."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from shop_api.app import App, create_app
from tests.fixtures.api import AnswerChecker, ApiClient, open_shop
from tests.fixtures.processes import free_port, wait_until
from tests.fixtures.stores import Database


@pytest.fixture
def app_without_replica(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    away = f"postgresql://shop_app@127.0.0.1:{free_port()}/shop"
    settings = database.settings(tmp_path_factory.mktemp("data"), redis_url, database_read_url=away)
    application = create_app(settings)
    yield application
    application.close()


def test_reads_are_served_by_the_primary_while_the_replica_is_away(
    app_without_replica: App,
) -> None:
    api = ApiClient(app_without_replica, AnswerChecker(app_without_replica))
    shop = open_shop(api)
    product = shop.product()
    assert shop.api.get(f"/api/v1/products/{product['id']}").status == 200
    assert shop.api.get("/api/v1/orders").json["data"] == []


def test_figures_do_not_ask_a_replica_that_is_away(app_without_replica: App) -> None:
    shop = open_shop(ApiClient(app_without_replica, AnswerChecker(app_without_replica)))
    answered = shop.api.get("/api/v1/analytics/dashboard")
    # there is no lake: what is refused is not the database
    assert answered.status == 200 or answered.code != "database_unavailable", answered.body


def test_a_replica_that_is_away_is_tried_by_no_request(app_without_replica: App) -> None:
    shop = open_shop(ApiClient(app_without_replica, AnswerChecker(app_without_replica)))
    tries: list[Any] = []
    reads = app_without_replica.services.reads
    assert reads is not None
    event.listen(reads.replica.engine, "do_connect", lambda *a: tries.append(a))
    paths = ("orders", "customers", "products")
    assert [shop.api.get(f"/api/v1/{path}").status for path in paths] == [200] * 3
    assert tries == []


def test_a_connection_to_the_replica_that_died_costs_nobody_an_answer(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    settings = database.settings(
        tmp_path, redis_url, database_read_url=database.application_url, cache_bytes=0
    )
    app = create_app(settings)
    shop = open_shop(ApiClient(app, AnswerChecker(app)))
    reads = app.services.reads
    assert reads is not None
    # the primary itself is as good as a replica that is never behind
    wait_until(lambda: reads.replica_for(shop.tenant_id, None) is not None)
    assert shop.api.get("/api/v1/orders").status == 200
    with reads.replica.engine.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with database.engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 1000)"), {"pid": pid})
    assert reads.replica_for(shop.tenant_id, None) is not None
    assert shop.api.get("/api/v1/orders").status == 200
    app.close()
