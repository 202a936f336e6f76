"""Statements that travel together: one round trip to Postgres, whatever their number.

Belongs here: sending raw SQL in psycopg's pipeline mode, with the errors and the events SQLAlchemy
would give. Does not: what is sent (tenancy.py, the unit of work).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row
from sqlalchemy import ClauseElement, Connection
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

_DIALECT = PGDialect_psycopg()
_PARAMETER = re.compile(r"%\((\w+)\)s|%%")


@dataclass(frozen=True, slots=True)
class Statement:
    """Raw SQL with `%(name)s` for each parameter."""

    text: str
    parameters: dict[str, Any]


def run_together(
    connection: Connection, *statements: Statement, commits: bool = False
) -> list[list[Any]]:
    """Run the statements one after the other in the connection's transaction; the rows of each.

    All are sent before the first is answered; when one fails the others after it are not run, and
    its error is raised. With `commits` the transaction is committed behind the last of them, so
    that what that one locks is held for no round trip.
    """
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    is_begun = driver.pgconn.transaction_status != TransactionStatus.IDLE
    try:
        if len(statements) == 1 and is_begun and not commits:
            cursors = [_send(connection, driver, statements[0])]
        else:
            with driver.pipeline():
                cursors = [_send(connection, driver, statement) for statement in statements]
                if commits:
                    # not `driver.commit()`, which would wait by itself
                    driver.execute("COMMIT", prepare=False)
    except psycopg.Error as error:
        # wrapped as SQLAlchemy does, and the connection given up if it is broken
        last = statements[-1]
        connection._handle_dbapi_exception(error, last.text, last.parameters, None, None)  # noqa: SLF001
    return [cursor.fetchall() for cursor in cursors]


def _send(
    connection: Connection, driver: psycopg.Connection[Any], statement: Statement
) -> psycopg.RawCursor[Any]:
    tell(connection, statement)
    text, names = numbered(statement.text)
    cursor = psycopg.RawCursor(driver, row_factory=namedtuple_row)
    cursor.execute(text, [statement.parameters[name] for name in names])
    return cursor


def written_out(query: ClauseElement) -> str:
    """The text of a statement built by SQLAlchemy, all of whose values are parameters by name."""
    return str(query.compile(dialect=_DIALECT))


def tell(connection: Connection, statement: Statement) -> None:
    """What listens to the engine's statements hears of this one too."""
    listener: Callable[..., Any]
    for listener in connection.dispatch.before_cursor_execute:
        listener(connection, None, statement.text, statement.parameters, None, False)


@lru_cache(maxsize=500)
def numbered(text: str) -> tuple[bytes, tuple[str, ...]]:
    """The text with $1, $2 … for its parameters, and their names: psycopg, which does the same,
    keeps no text beyond 4 kB, and takes 0.1 ms to do it again.
    """
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found[1] is None:
            return "%"
        return f"${numbers.setdefault(found[1], len(numbers) + 1)}"

    return _PARAMETER.sub(number, text).encode(), tuple(numbers)
