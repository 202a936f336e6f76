"""What takes longer than it may is ended: many statements together, and a server that hangs."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from shop_api.app import App, create_app
from shop_api.db.deadlines import ENDING_SECONDS, deadline
from shop_api.db.outages import outage_error
from shop_api.db.round_trips import Statement
from shop_api.db.tenancy import read_session, tenant_session
from shop_api.kernel.errors import DomainError
from tests.fixtures.api import AnswerChecker, ApiClient, open_shop
from tests.fixtures.stores import Database

SLEEP = "SELECT pg_sleep(%(seconds)s)"


def code_of(error: BaseException) -> str | None:
    if isinstance(error, DBAPIError):
        found = outage_error(error)
        return found.code if found else None
    return error.code if isinstance(error, DomainError) else None


@pytest.mark.parametrize("is_raw", [True, False])
def test_statements_together_keep_to_the_deadline(
    database: Database, tenant_id: UUID, *, is_raw: bool
) -> None:
    started = time.monotonic()
    ran = 0
    with (
        pytest.raises((DBAPIError, DomainError)) as raised,
        deadline.within(1.0),
        tenant_session(database.engine, tenant_id) as session,
    ):
        while True:
            if is_raw:
                session.fetch(SLEEP, {"seconds": 0.35})
            else:
                session.execute(text("SELECT pg_sleep(0.35)"))
            ran += 1
    assert code_of(raised.value) == "deadline_exceeded"
    assert ran == 2
    # later the server would be left, and its connection with it
    assert 0.9 < time.monotonic() - started < 1.0 + ENDING_SECONDS
    # the connection is whole: nothing of it is left behind
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    with tenant_session(database.engine, tenant_id) as session:
        assert session.fetch("SELECT 1 AS one", {})[0].one == 1


def test_the_deadline_ends_what_is_still_being_sent(database: Database, tenant_id: UUID) -> None:
    """The server is at the first statement and does not read the second, which is large."""
    started = time.monotonic()
    with (
        pytest.raises(DBAPIError) as raised,
        deadline.within(0.5),
        tenant_session(database.engine, tenant_id) as session,
    ):
        session.fetch_together(
            Statement(SLEEP, {"seconds": 30}),
            Statement("SELECT length(%(text)s::text)", {"text": "x" * 8_388_608}),
        )
    assert code_of(raised.value) == "deadline_exceeded"
    assert time.monotonic() - started < 0.5 + ENDING_SECONDS
    with tenant_session(database.engine, tenant_id) as session:
        assert session.fetch("SELECT 1 AS one", {})[0].one == 1


def test_nothing_is_begun_after_the_deadline(database: Database, tenant_id: UUID) -> None:
    with deadline.within(0.01):
        time.sleep(0.02)
        with (
            pytest.raises(DomainError, match="deadline_exceeded"),
            read_session(database.engine, None, tenant_id) as session,
        ):
            session.fetch(SLEEP, {"seconds": 5})


def test_time_that_is_not_counted(database: Database, tenant_id: UUID) -> None:
    with deadline.within(0.2):
        with deadline.paused():
            time.sleep(0.3)
        with tenant_session(database.engine, tenant_id) as session:
            session.fetch(SLEEP, {"seconds": 0.05})


def test_a_shorter_deadline_within_a_longer_one_ends_first() -> None:
    with deadline.within(100):
        with deadline.within(1):
            assert deadline.left_seconds() < 1.1  # type: ignore[operator]
        with deadline.within(1000):
            assert deadline.left_seconds() < 100.1  # type: ignore[operator]
        assert deadline.left_seconds() > 90  # type: ignore[operator]
    assert deadline.left_seconds() is None


def test_a_server_that_hangs_is_left_at_the_deadline(database: Database, tenant_id: UUID) -> None:
    with tenant_session(database.engine, tenant_id) as session:
        pid = session.fetch("SELECT pg_backend_pid() AS pid", {})[0].pid
    started = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    try:
        with (
            pytest.raises(OperationalError) as raised,
            deadline.within(0.5),
            tenant_session(database.engine, tenant_id) as session,
        ):
            session.fetch("SELECT 1 AS one", {})
        assert code_of(raised.value) == "database_unavailable"
        assert time.monotonic() - started < 0.5 + 2 * ENDING_SECONDS + 0.5
    finally:
        os.kill(pid, signal.SIGCONT)
    with tenant_session(database.engine, tenant_id) as session:
        assert session.fetch("SELECT pg_backend_pid() AS pid", {})[0].pid != pid


@pytest.fixture
def hasty_app(database: Database, redis_url: str, tmp_path: Path) -> Iterator[App]:
    application = create_app(database.settings(tmp_path, redis_url, deadline_seconds=1.0))
    yield application
    application.close()


def test_a_request_that_waits_twice_ends_when_its_own_time_is_over(
    hasty_app: App, database: Database
) -> None:
    """Each wait is shorter than the limit of a statement; together they are longer."""
    shop = open_shop(ApiClient(hasty_app, AnswerChecker(hasty_app)))
    variant = shop.product()["variants"][0]["id"]
    admin = database.server.url(database.name)
    with psycopg.connect(admin) as first, psycopg.connect(admin) as second:
        first.execute("SELECT FROM variants WHERE id = %s FOR UPDATE", (variant,))
        first.execute("SELECT FROM stock_levels WHERE variant_id = %s FOR UPDATE", (variant,))
        second.execute(
            "SELECT FROM tenant_counters WHERE tenant_id = %s FOR UPDATE", (shop.tenant_id,)
        )
        release = threading.Timer(0.7, first.rollback)
        release.start()
        started = time.monotonic()
        answered = shop.order((variant, 1))
        seconds = time.monotonic() - started
        release.join()
        assert (answered.status, answered.code) == (503, "deadline_exceeded")
        assert answered.headers["Retry-After"] == "1"
        # with a limit of each statement's own it would be 1.7
        assert 0.9 < seconds < 1.6
        second.rollback()
    assert shop.api.get("/api/v1/orders").json["data"] == []
    assert shop.order((variant, 1)).status == 201
