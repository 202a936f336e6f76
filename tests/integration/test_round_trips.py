"""A read in one round trip: its own transaction, with the errors and the wall of any other."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.pool import StaticPool

from shop_api.db.engines import sqlalchemy_url
from shop_api.db.round_trips import PREPARED, PREPARED_MAX, Statement, read_alone
from shop_api.db.tenancy import SET_TENANT, read_session, tenant_session
from tests.fixtures.stores import Database

COUNTERS = (
    "SELECT name, value::integer + %(more)s::integer AS value FROM tenant_counters ORDER BY name"
)
SHARE = Statement("SELECT 1 / %(by)s::integer", {"by": 0})


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """One connection, whoever asks."""
    engine = create_engine(sqlalchemy_url(database.application_url), poolclass=StaticPool)
    yield engine
    engine.dispose()


def driver_of(connection: Connection) -> psycopg.Connection[object]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def acting_for(tenant_id: UUID) -> Statement:
    return Statement(SET_TENANT, {"tenant_id": str(tenant_id)})


def roll_back(engine: Engine, tenant_id: UUID) -> None:
    """psycopg, which prepared a statement of its own, has the session forget all that are."""
    with pytest.raises(ValueError, match="undone"), tenant_session(engine, tenant_id) as session:
        for _ in range(7):
            session.execute(text("SELECT count(*) FROM tenants"))
        raise ValueError("undone")


def test_a_read_sees_its_tenants_rows_alone(engine: Engine, tenant_id: UUID) -> None:
    with read_session(engine, None, tenant_id) as session:
        rows = session.fetch(COUNTERS, {"more": 1})
    assert rows
    assert {row.name for row in rows} >= {"event"}
    with read_session(engine, None, uuid4()) as session:
        assert session.fetch(COUNTERS, {"more": 1}) == []


def test_it_leaves_no_transaction_and_no_tenant(engine: Engine, tenant_id: UUID) -> None:
    with engine.connect() as connection:
        assert read_alone(connection, acting_for(tenant_id), Statement(COUNTERS, {"more": 0}))
        assert driver_of(connection).info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert connection.execute(text("SELECT count(*) FROM tenant_counters")).scalar_one() == 0


def test_after_something_was_executed_it_is_in_that_transaction(
    engine: Engine, tenant_id: UUID
) -> None:
    with read_session(engine, None, tenant_id) as session:
        session.execute(text("UPDATE tenant_counters SET value = 7 WHERE name = 'event'"))
        values = {row.name: row.value for row in session.fetch(COUNTERS, {"more": 1})}
    assert values["event"] == 8


def test_an_error_is_sqlalchemys_and_the_connection_is_of_use_again(
    engine: Engine, tenant_id: UUID
) -> None:
    with engine.connect() as connection:
        with pytest.raises(DataError) as refused:
            read_alone(connection, acting_for(tenant_id), SHARE)
        assert isinstance(refused.value.orig, psycopg.errors.DivisionByZero)
        (row,) = read_alone(connection, Statement(SHARE.text, {"by": 1}))
        assert row == (1,)


def test_what_a_rollback_makes_the_session_forget_is_prepared_again(
    engine: Engine, tenant_id: UUID
) -> None:
    def read() -> int:
        with read_session(engine, None, tenant_id) as session:
            return len(session.fetch(COUNTERS, {"more": 0}))

    expected = read()
    roll_back(engine, tenant_id)
    with engine.connect() as connection:
        connection.exec_driver_sql("DEALLOCATE ALL")
    assert read() == expected


def test_a_transaction_that_begins_with_new_texts_knows_what_was_forgotten(
    engine: Engine, tenant_id: UUID
) -> None:
    """As a mutation with an Idempotency-Key does, on a connection where another was refused."""

    def read(lock_key: int | None = None) -> int:
        with tenant_session(engine, tenant_id, lock_key) as session:
            return len(session.fetch(COUNTERS, {"more": 0}))

    expected = read()
    roll_back(engine, tenant_id)
    assert read(lock_key=1) == expected


def test_more_texts_than_are_kept_are_answered_too(engine: Engine) -> None:
    with engine.connect() as connection:
        for number in range(PREPARED_MAX + 3):
            (row,) = read_alone(
                connection, Statement(f"SELECT {number} + %(n)s::integer", {"n": 1})
            )
            assert row == (number + 1,)
        assert len(connection.info[PREPARED]) == PREPARED_MAX


def test_a_connection_that_died_is_given_up(engine: Engine, tenant_id: UUID) -> None:
    with engine.connect() as connection:
        read_alone(connection, acting_for(tenant_id))
        driver = driver_of(connection)
        with psycopg.connect(driver.info.dsn) as killer:
            killer.execute("SELECT pg_terminate_backend(%s, 1000)", (driver.info.backend_pid,))
        with pytest.raises(OperationalError) as refused:
            read_alone(connection, acting_for(tenant_id))
        assert refused.value.connection_invalidated
