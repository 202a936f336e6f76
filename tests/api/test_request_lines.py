"""What a request's log line tells, and that slow statements are told without their values."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shop_api.app import App
from shop_api.db.engines import make_engine
from shop_api.db.query_watch import MAX_TEXT_LENGTH, served
from shop_api.db.round_trips import Statement, read_alone
from shop_api.gateway.access_log import AccessLog
from shop_api.kernel.api_versions import BY_NAME, OLDEST
from shop_api.metrics.definitions import REGISTRY
from tests.fixtures.api import Shop
from tests.fixtures.stores import Database

# each request looks its credential up: statements are counted
APP_SETTINGS = {"credential_cache_seconds": 0.0}

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def lines(app: App) -> Iterator[list[dict[str, Any]]]:
    """The lines of requests from here on."""
    found: list[dict[str, Any]] = []
    stage = dict(app.gateway.stages)["access_log"]
    assert isinstance(stage, AccessLog)
    write, stage.write = (
        stage.write,
        lambda line: found.append(json.loads(msgspec.json.encode(line))),
    )
    yield found
    stage.write = write


def test_a_line_says_who_asked_what_and_what_it_cost(
    app: App, shop: Shop, lines: list[dict[str, Any]]
) -> None:
    product = shop.product()
    lines.clear()
    shop.api.get(
        f"/api/v1/products/{product['id']}",
        headers={"X-Request-ID": "mine", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
    )
    (line,) = lines
    assert line["request_id"] == "mine"
    assert line["trace_id"] == TRACE
    assert line["tenant_id"] == str(shop.tenant_id)
    assert line["actor"].startswith("api_key:")
    assert line["route"] == "/api/v1/products/<id:product_id>"
    assert line["status"] == 200
    assert line["queries"] > 0
    assert 0 < line["duration_seconds"] < 10


def test_a_line_says_the_version_only_of_who_asks_for_an_older_one(
    shop: Shop, lines: list[dict[str, Any]]
) -> None:
    lines.clear()
    shop.api.get("/api/v1/orders")
    shop.api.get("/api/v1/orders", headers={"Accept": BY_NAME[OLDEST].media_type})
    newest, old = lines
    assert "api_version" not in newest
    assert old["api_version"] == OLDEST


def test_queries_are_counted_for_each_request_alone(
    shop: Shop, lines: list[dict[str, Any]]
) -> None:
    shop.product()
    # after the second, what the process keeps is there
    for _ in range(2):
        shop.api.get("/api/v1/products")
    lines.clear()
    for _ in range(3):
        shop.api.get("/api/v1/products")
    shop.api.with_token(None).get("/health/live")
    counts = [line["queries"] for line in lines]
    assert counts[0] == counts[1] == counts[2] > 0
    assert counts[3] == 0


def slow_queries() -> float:
    return REGISTRY.get_sample_value("database_slow_queries_total") or 0.0


def test_a_slow_statement_is_told_once_and_without_its_values(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    settings = database.settings(data_dir=".", redis_url="redis://", slow_query_seconds=0.05)  # type: ignore[arg-type]
    engine = make_engine(database.application_url, settings, statement_timeout_seconds=1)
    served.request_id, served.trace_id = "the-request", TRACE
    before = slow_queries()
    with caplog.at_level(logging.WARNING), engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        assert not caplog.records
        sleep = "SELECT pg_sleep(0.1),\n  %(secret)s::text"
        connection.exec_driver_sql(sleep, {"secret": "a@b.example"})
        connection.rollback()
        read_alone(connection, Statement(sleep, {"secret": "a@b.example"}))
        connection.rollback()
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT pg_sleep(5)"))
    engine.dispose()
    told = [vars(record) for record in caplog.records if record.message == "slow query"]
    assert [record["statement"] for record in told] == [
        "SELECT pg_sleep(0.1), %(secret)s::text",
        "SELECT pg_sleep(0.1), %(secret)s::text",
        # what ran into its deadline is told, too
        "SELECT pg_sleep(5)",
    ]
    assert all(record["request_id"] == "the-request" for record in told)
    assert all(record["trace_id"] == TRACE for record in told)
    assert all(record["duration_seconds"] >= 0.1 for record in told)
    assert "a@b.example" not in caplog.text
    assert slow_queries() - before == 3


def test_a_long_statement_is_cut(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    settings = database.settings(data_dir=".", redis_url="redis://", slow_query_seconds=0.01)  # type: ignore[arg-type]
    engine = make_engine(database.application_url, settings, statement_timeout_seconds=10)
    with caplog.at_level(logging.WARNING), engine.connect() as connection:
        connection.execute(text("SELECT pg_sleep(0.02)" + ", 1" * 1000))
    engine.dispose()
    (record,) = caplog.records
    assert len(vars(record)["statement"]) == MAX_TEXT_LENGTH
