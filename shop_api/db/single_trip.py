"""Reads in one round trip: a transaction that begins and ends with its statements.

Belongs here: sending prepared statements through libpq's pipeline, with the errors and the events
SQLAlchemy would give. Does not: transactions of several trips (round_trips.py), what is sent
(tenancy.py). psycopg's cursors and its pipeline take 0.2 ms of the interpreter for what takes 0.03
here, as much as all the rest of a request.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import abc, generators
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import _make_nt
from sqlalchemy import Connection

from shop_api.db.round_trips import Statement, numbered, tell

# in a connection's `info`: the names of what its session has prepared, by text and types
PREPARED = "shop_api.prepared"
# A text beyond these is not prepared: the texts of reads are few and fixed.
PREPARED_MAX = 200

_numbers = itertools.count()

Key = tuple[bytes, tuple[int, ...]]
# how one statement is sent, once its values are known
Send = Callable[[PGconn], None]


def read_alone(connection: Connection, *statements: Statement) -> list[Any]:
    """The rows of the last statement; all run in one transaction, which ends with them.

    The connection is in no transaction before, and in none after.
    """
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    prepared: dict[Key, bytes] = connection.info.setdefault(PREPARED, {})
    for statement in statements:
        tell(connection, statement)
    try:
        try:
            return _exchange(driver, prepared, statements)
        except psycopg.errors.InvalidSqlStatementName:
            # psycopg has the session forget all it prepared when a transaction is rolled back
            prepared.clear()
            return _exchange(driver, prepared, statements)
    except psycopg.Error as error:
        # wrapped as SQLAlchemy does, and the connection given up if it is broken
        last = statements[-1]
        connection._handle_dbapi_exception(error, last.text, last.parameters, None, None)  # noqa: SLF001


def _exchange(
    driver: psycopg.Connection[Any], prepared: dict[Key, bytes], statements: Sequence[Statement]
) -> list[Any]:
    pgconn = driver.pgconn
    transformer = Transformer(driver)
    fresh: dict[Key, bytes] = {}
    sends = [_send(transformer, statement, prepared, fresh) for statement in statements]
    pgconn.enter_pipeline_mode()
    for send in sends:
        send(pgconn)
    pgconn.pipeline_sync()
    results = driver.wait(_results(pgconn))
    if pgconn.status == ConnStatus.OK:
        pgconn.exit_pipeline_mode()
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result, encoding=driver.info.encoding)
    prepared.update(fresh)
    last = results[-1]
    transformer.set_pgresult(last)
    names = [last.fname(index) or b"" for index in range(last.nfields)]
    return transformer.load_rows(0, last.ntuples, _make_nt(driver.info.encoding, *names)._make)


def _send(
    transformer: abc.Transformer,
    statement: Statement,
    prepared: dict[Key, bytes],
    fresh: dict[Key, bytes],
) -> Send:
    """How a statement is sent: prepared when it is not yet, and run."""
    text, names = numbered(statement.text)
    values: Sequence[abc.Buffer | None] = transformer.dump_sequence(
        [statement.parameters[name] for name in names], [PyFormat.AUTO] * len(names)
    )
    types, formats = transformer.types or (), transformer.formats
    name = prepared.get((text, types))
    is_known = name is not None
    if name is None:
        if len(prepared) + len(fresh) >= PREPARED_MAX:
            return lambda pgconn: pgconn.send_query_params(text, values, types, formats)
        name = fresh[text, types] = b"shop_%d" % next(_numbers)

    def send(pgconn: PGconn) -> None:
        if not is_known:
            pgconn.send_prepare(name, text, types)
        pgconn.send_query_prepared(name, values, formats)

    return send


def _results(pgconn: PGconn) -> abc.PQGen[list[PGresult]]:
    """All results up to the end of the pipeline."""
    yield from generators.send(pgconn)
    found: list[PGresult] = []
    while True:
        results = yield from generators.fetch_many(pgconn)
        if not results or results[-1].status == ExecStatus.PIPELINE_SYNC:
            return found
        found += results
