"""Statements that travel together: one round trip to Postgres, whatever their number.

Belongs here: sending raw SQL through libpq's pipeline, prepared, with the errors and the events
SQLAlchemy would give. Does not: what is sent (tenancy.py, the unit of work). psycopg's cursors and
its pipeline take 0.2 ms of the interpreter for what takes 0.03 here, as much as all the rest of a
read; they write each command by itself, and wait for the answer of BEGIN.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import psycopg
from psycopg import abc, generators
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import _make_nt
from sqlalchemy import ClauseElement, Connection
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

_DIALECT = PGDialect_psycopg()
_PARAMETER = re.compile(r"%\((\w+)\)s|%%")

# in a connection's `info`: the names of what its session has prepared, by text and types
PREPARED = "shop_api.prepared"
# Behind a commit: what it wrote is before this.
POSITION = b"SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS position"
# A text beyond these is not prepared: the texts sent here are few and fixed.
PREPARED_MAX = 300

_name_numbers = itertools.count()

Key = tuple[bytes, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Statement:
    """Raw SQL with `%(name)s` for each parameter."""

    text: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Command:
    """One message to the server; `has_rows` if its answer is a statement's.

    `is_known`: it runs what was prepared before.
    """

    send: Callable[[PGconn], None]
    has_rows: bool = False
    is_known: bool = False


def run_together(
    connection: Connection,
    *statements: Statement,
    commits: bool = False,
    asks_position: bool = False,
) -> list[list[Any]]:
    """Run the statements one after the other in the connection's transaction; the rows of each.

    All are sent before the first is answered, behind BEGIN if none has begun; when one fails the
    others after it are not run, and its error is raised. With `commits` the transaction is
    committed behind the last of them, so that what that one locks is held for no round trip. With
    `asks_position` too, the last rows are one of one column: a position in the write-ahead log that
    is not before the commit's.
    """
    return _send_together(
        connection, statements, begins=True, commits=commits, asks_position=asks_position
    )


def read_alone(connection: Connection, *statements: Statement) -> list[Any]:
    """The rows of the last statement; all run in one transaction, which ends with them.

    The connection is in no transaction before, and in none after.
    """
    return _send_together(connection, statements, begins=False, commits=False)[-1]


def written_out(query: ClauseElement) -> str:
    """The text of a statement built by SQLAlchemy, all of whose values are parameters by name."""
    return str(query.compile(dialect=_DIALECT))


def _send_together(
    connection: Connection,
    statements: Sequence[Statement],
    *,
    begins: bool,
    commits: bool,
    asks_position: bool = False,
) -> list[list[Any]]:
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    prepared: dict[Key, bytes] = connection.info.setdefault(PREPARED, {})
    for statement in statements:
        _tell_start(connection, statement)
    ends = [_plain(b"COMMIT")] if commits else []
    if commits and asks_position:
        # not prepared: nothing may fail behind a commit
        ends.append(_Command(lambda pgconn: pgconn.send_query_params(POSITION, None), True))
    is_begun = driver.pgconn.transaction_status != TransactionStatus.IDLE
    begins = begins and not is_begun
    try:
        try:
            rows = _exchange(driver, prepared, statements, ends=ends, begins=begins)
        except psycopg.errors.InvalidSqlStatementName:
            # psycopg has the session forget all it prepared when a transaction is rolled back, so
            # it shows in the first that is sent afterwards
            if is_begun:
                raise
            prepared.clear()
            driver.rollback()
            rows = _exchange(driver, prepared, statements, ends=ends, begins=begins)
    except psycopg.Error as error:
        # wrapped as SQLAlchemy does, and the connection given up if it is broken
        last = statements[-1]
        connection._handle_dbapi_exception(error, last.text, last.parameters, None, None)  # noqa: SLF001
    _tell_end(connection, statements[-1])
    return rows


def _tell_start(connection: Connection, statement: Statement) -> None:
    """What listens to the engine's statements hears of this one too."""
    listener: Callable[..., Any]
    for listener in connection.dispatch.before_cursor_execute:
        listener(connection, None, statement.text, statement.parameters, None, False)


def _tell_end(connection: Connection, last: Statement) -> None:
    """And when it has been answered: with the last of those that travelled together."""
    listener: Callable[..., Any]
    for listener in connection.dispatch.after_cursor_execute:
        listener(connection, None, last.text, last.parameters, None, False)


def _exchange(
    driver: psycopg.Connection[Any],
    prepared: dict[Key, bytes],
    statements: Sequence[Statement],
    *,
    ends: Sequence[_Command],
    begins: bool,
) -> list[list[Any]]:
    pgconn = driver.pgconn
    transformer = Transformer(driver)
    fresh: dict[Key, bytes] = {}
    commands = [_plain(b"BEGIN")] if begins else []
    for statement in statements:
        commands += _commands(transformer, statement, prepared, fresh)
    commands += ends
    is_first = pgconn.transaction_status == TransactionStatus.IDLE
    if is_first and prepared and not any(command.is_known for command in commands):
        # nothing of it would show that the session forgot the others, which are run later
        commands.insert(0, _ask_for(next(iter(prepared.values()))))
    pgconn.enter_pipeline_mode()
    for command in commands:
        command.send(pgconn)
    pgconn.pipeline_sync()
    results = driver.wait(_results(pgconn))
    if pgconn.status == ConnStatus.OK:
        pgconn.exit_pipeline_mode()
    encoding = driver.info.encoding
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result, encoding=encoding)
    prepared.update(fresh)
    return [
        _rows(transformer, result, encoding)
        for command, result in zip(commands, results, strict=True)
        if command.has_rows
    ]


def _plain(text: bytes) -> _Command:
    return _Command(lambda pgconn: pgconn.send_query_params(text, None))


def _ask_for(name: bytes) -> _Command:
    """Fails as running it would."""
    return _Command(lambda pgconn: pgconn.send_describe_prepared(name))


def _commands(
    transformer: abc.Transformer,
    statement: Statement,
    prepared: dict[Key, bytes],
    fresh: dict[Key, bytes],
) -> Iterator[_Command]:
    """How a statement is sent: prepared when it is not yet, and run."""
    text, names = _numbered(statement.text)
    values: Sequence[abc.Buffer | None] = transformer.dump_sequence(
        [statement.parameters[name] for name in names], [PyFormat.AUTO] * len(names)
    )
    types, formats = transformer.types or (), transformer.formats
    key = (text, types)
    is_known = key in prepared
    name = prepared.get(key) or fresh.get(key)
    if name is None and len(prepared) + len(fresh) < PREPARED_MAX:
        name = fresh[key] = b"shop_%d" % next(_name_numbers)
        yield _Command(partial(_prepare, name=name, text=text, types=types))
    if name is None:
        yield _Command(
            lambda pgconn: pgconn.send_query_params(text, values, types, formats), has_rows=True
        )
        return
    run = partial(_run, name=name, values=values, formats=formats)
    yield _Command(run, has_rows=True, is_known=is_known)


def _prepare(pgconn: PGconn, name: bytes, text: bytes, types: tuple[int, ...]) -> None:
    pgconn.send_prepare(name, text, types)


def _run(pgconn: PGconn, name: bytes, values: Any, formats: Any) -> None:
    pgconn.send_query_prepared(name, values, formats)


def _results(pgconn: PGconn) -> abc.PQGen[list[PGresult]]:
    """All results up to the end of the pipeline."""
    yield from generators.send(pgconn)
    found: list[PGresult] = []
    while True:
        results = yield from generators.fetch_many(pgconn)
        if not results or results[-1].status == ExecStatus.PIPELINE_SYNC:
            return found
        found += results


def _rows(transformer: abc.Transformer, result: PGresult, encoding: str) -> list[Any]:
    transformer.set_pgresult(result)
    names = [result.fname(index) or b"" for index in range(result.nfields)]
    return transformer.load_rows(0, result.ntuples, _make_nt(encoding, *names)._make)


@lru_cache(maxsize=500)
def _numbered(text: str) -> tuple[bytes, tuple[str, ...]]:
    """The text with $1, $2 … for its parameters, and their names."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found[1] is None:
            return "%"
        return f"${numbers.setdefault(found[1], len(numbers) + 1)}"

    return _PARAMETER.sub(number, text).encode(), tuple(numbers)
