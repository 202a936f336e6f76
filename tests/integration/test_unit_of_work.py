"""One mutation, one transaction: events number themselves in commit order, without gaps."""

from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import select, text
from sqlalchemy.exc import DataError

from shop_api.db.round_trips import Statement, run_together
from shop_api.db.tenancy import SET_TENANT, tenant_session
from shop_api.models import events
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.spine.waker import Waker
from tests.factories.rows import NOW
from tests.fixtures.processes import wait_until
from tests.fixtures.stores import Database


def origin(tenant_id: UUID) -> Origin:
    return Origin(tenant_id, "system:test", "request-1", NOW)


def sequences(database: Database, tenant_id: UUID) -> list[int]:
    with tenant_session(database.engine, tenant_id) as session:
        return list(
            session.execute(select(events.c.sequence).order_by(events.c.sequence)).scalars()
        )


def test_events_of_concurrent_writers_are_numbered_without_gaps(
    database: Database, tenant_id: UUID
) -> None:
    def write(index: int) -> None:
        with unit_of_work(database.engine, database.waker, origin(tenant_id)) as work:
            work.append("thing_done", "thing", None, {"index": index})
            if index % 5 == 0:
                work.append("thing_done", "thing", None, {"index": index})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    assert sequences(database, tenant_id) == list(range(1, 1 + 1 + 40 + 8))


def test_a_failed_mutation_leaves_no_event_and_no_gap(database: Database, tenant_id: UUID) -> None:
    with (
        pytest.raises(ValueError, match="boom"),
        unit_of_work(database.engine, database.waker, origin(tenant_id)) as work,
    ):
        work.append("thing_done", "thing", None, {})
        raise ValueError("boom")
    with unit_of_work(database.engine, database.waker, origin(tenant_id)) as work:
        work.append("thing_done", "thing", None, {})
    assert sequences(database, tenant_id) == [1, 2]


ROWS = text("SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM audit_entries)")


def test_without_a_counter_nothing_at_all_is_written(database: Database, tenant_id: UUID) -> None:
    """The commit travels with the record, so it is the record that must fail."""
    with tenant_session(database.engine, tenant_id) as session:
        session.execute(text("DELETE FROM tenant_counters"))
        before = session.execute(ROWS).all()
    with (
        pytest.raises(LookupError, match="lacks a counter"),
        unit_of_work(database.engine, database.waker, origin(tenant_id)) as work,
    ):
        work.audit("thing_done", "thing", None, None, {"a": 1})
        work.append("thing_done", "thing", None, {})
    with tenant_session(database.engine, tenant_id) as session:
        after = session.execute(ROWS).all()
    assert after == before


def test_what_travels_together_fails_together(database: Database, tenant_id: UUID) -> None:
    """An error is SQLAlchemy's, nothing behind it is run, and the connection is of use again."""
    done = Statement(
        "UPDATE tenant_counters SET value = %(value)s WHERE name = 'event'", {"value": 50}
    )
    with database.engine.begin() as connection, pytest.raises(DataError) as refused:
        run_together(connection, _acting_for(tenant_id), done, ONE_BY_ZERO, commits=True)
    assert isinstance(refused.value.orig, psycopg.errors.DivisionByZero)
    with database.engine.connect() as connection:
        _, (row,) = run_together(connection, _acting_for(tenant_id), COUNTED)
    assert (row.value, row.share) == (1, "7%")


def test_what_travels_together_takes_one_round_trip(
    database: Database, tenant_id: UUID, tmp_path: Path
) -> None:
    """Also BEGIN and COMMIT, and also when a statement is prepared first."""
    with database.engine.connect() as connection:
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        trace = tmp_path / "trace"
        with trace.open("w") as file:
            driver.pgconn.trace(file.fileno())
            run_together(connection, _acting_for(tenant_id), COUNTED, commits=True)
            driver.pgconn.untrace()
        assert driver.pgconn.transaction_status == TransactionStatus.IDLE
    # each line: time, F(rontend) or B(ackend), length, message
    lines = [line.split("\t") for line in trace.read_text().splitlines()]
    assert [side for side, _ in groupby(line[1] for line in lines)] == ["F", "B"]
    assert {"Parse", "Bind", "Sync"} <= {line[3] for line in lines}


ONE_BY_ZERO = Statement("SELECT 1 / %(by)s::integer", {"by": 0})
COUNTED = Statement(
    "SELECT value, %(left)s::text || '%%' AS share FROM tenant_counters WHERE name = 'event'",
    {"left": "7"},
)


def _acting_for(tenant_id: UUID) -> Statement:
    return Statement(SET_TENANT, {"tenant_id": str(tenant_id)})


def test_a_waker_that_cannot_notify_does_not_log_the_password(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    waker = Waker("postgres:/shop_app:hunter2@localhost/shop", database.waker.versions)
    waker.wake()
    wait_until(lambda: "cannot notify" in caplog.text)
    waker.stop()
    assert "ProgrammingError" in caplog.text
    assert "hunter2" not in caplog.text
