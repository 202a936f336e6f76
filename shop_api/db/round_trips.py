"""Statements that travel together: one round trip to Postgres, whatever their number.

Belongs here: sending raw SQL in psycopg's pipeline mode, with the errors and the events SQLAlchemy
would give. Does not: what is sent (tenancy.py, the unit of work).
"""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import psycopg
from psycopg.generators import send
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
            with _Packet(driver) as packet:
                if not is_begun:
                    packet.add(driver._get_tx_start_command())  # noqa: SLF001
                cursors = [_send(connection, driver, statement) for statement in statements]
                if commits:
                    packet.add(b"COMMIT")
    except psycopg.Error as error:
        # wrapped as SQLAlchemy does, and the connection given up if it is broken
        last = statements[-1]
        connection._handle_dbapi_exception(error, last.text, last.parameters, None, None)  # noqa: SLF001
    return [cursor.fetchall() for cursor in cursors]


class _Packet(psycopg.Pipeline):
    """psycopg's pipeline, with all commands written at once when it ends.

    Its own writes each command by itself, and waits for the answer of BEGIN: the server is woken
    for every one. Placing an order took 1.8 ms of the api's time so, and 1.4 ms like this.
    """

    def __enter__(self) -> "_Packet":
        # psycopg begins a transaction before a statement, unless it is told to leave that to others
        self._conn._autocommit = True  # noqa: SLF001
        self._conn._pipeline = self  # noqa: SLF001
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        try:
            super().__exit__(*raised)
        finally:
            self._conn._pipeline = None  # noqa: SLF001
            self._conn._autocommit = False  # noqa: SLF001

    def add(self, command: bytes) -> None:
        """A command without parameters, whose answer is only looked at when it is an error."""
        self.command_queue.append(partial(self.pgconn.send_query_params, command, None))
        self.result_queue.append(None)

    def _communicate_gen(self) -> Generator[Any, Any, None]:
        yield from ()

    def _exit_gen(self) -> Generator[Any, Any, None]:
        self._enqueue_sync()
        while self.command_queue:
            self.command_queue.popleft()()
        yield from send(self.pgconn)
        yield from self._fetch_gen(flush=False)


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
