"""One instant of Postgres, as Polars frames.

Belongs here: the transaction all sources read in, and COPY to a frame. Does not: what is read (the
other files of this folder).
"""

import selectors
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import polars as pl
import psycopg
from psycopg import pq
from sqlalchemy import Engine

# NULL in COPY's output: a character no text column holds on its own.
NULL_MARK = "\x01"
# Rows that are parsed at once: as text they take several times what they take as columns.
PARSED_ROWS = 100_000
INSTANT_FORMAT = "%Y-%m-%d %H:%M:%S%.f%#z"


@dataclass(frozen=True)
class Reader:
    """A REPEATABLE READ READ ONLY transaction: every query sees the same commits."""

    connection: psycopg.Connection[tuple[Any, ...]]

    def row(self, query: str, parameters: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
        """The one row of `query`."""
        row = self.connection.execute(query.encode(), parameters).fetchone()
        if row is None:
            raise LookupError(f"no row from: {query}")
        return row

    def frame(
        self,
        query: str,
        schema: Mapping[str, pl.DataType],
        parameters: Mapping[str, Any] | None = None,
    ) -> pl.DataFrame:
        """The rows of `query`, whose columns are `schema` in this order."""
        parts = list(self.chunks(query, schema, parameters, PARSED_ROWS))
        return pl.concat(parts) if parts else pl.DataFrame(schema=schema)

    def chunks(
        self,
        query: str,
        schema: Mapping[str, pl.DataType],
        parameters: Mapping[str, Any] | None,
        rows: int,
    ) -> Generator[pl.DataFrame]:
        """The rows of `query` in frames of that many. Nothing else is asked until they end."""
        statement = psycopg.ClientCursor(self.connection).mogrify(
            f"COPY ({query}) TO STDOUT (FORMAT csv, NULL E'\\x01')".encode(), parameters or {}
        )
        with closing(self._copy(statement)) as lines:
            while part := list(islice(lines, rows)):
                yield _parsed(b"".join(part), schema)

    def _copy(self, statement: str) -> Generator[bytes]:
        """The rows a COPY sends. libpq is asked directly: psycopg's own loop takes thrice as long.

        One that is closed before its end is read to it: cancelled, it would take the transaction
        with it, and so the instant that all is read at.
        """
        pg = self.connection.pgconn
        with selectors.DefaultSelector() as selector:
            selector.register(pg.socket, selectors.EVENT_READ)
            _send(pg, statement, selector)
            answer = _result(pg, selector)
            if answer is not None and answer.status == pq.ExecStatus.COPY_OUT:
                try:
                    while (received := pg.get_copy_data(1))[0] >= 0:
                        if received[0]:
                            yield bytes(received[1])
                        else:
                            selector.select()
                            pg.consume_input()
                except GeneratorExit:
                    self._pass_over(selector)
                    raise
                answer = _result(pg, selector)
            while (more := _result(pg, selector)) is not None:
                answer = more
        if answer is None:
            raise psycopg.OperationalError("the connection ended during COPY")
        if answer.status != pq.ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(answer)

    def _pass_over(self, selector: selectors.BaseSelector) -> None:
        """Take the rest of a COPY, so that the transaction can be used for something else."""
        pg = self.connection.pgconn
        while (received := pg.get_copy_data(1))[0] >= 0:
            if not received[0]:
                selector.select()
                pg.consume_input()
        while _result(pg, selector) is not None:
            pass


def _send(pg: pq.abc.PGconn, statement: str, selector: selectors.BaseSelector) -> None:
    pg.send_query(statement.encode())
    while pg.flush():
        selector.modify(pg.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
        selector.select()
        pg.consume_input()
    selector.modify(pg.socket, selectors.EVENT_READ)


def _result(pg: pq.abc.PGconn, selector: selectors.BaseSelector) -> pq.abc.PGresult | None:
    while pg.is_busy():
        selector.select()
        pg.consume_input()
    return pg.get_result()


def _parsed(content: bytes, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Rows of COPY's CSV."""
    instants = [name for name, kind in schema.items() if isinstance(kind, pl.Datetime)]
    text_instants = {name: pl.String() if name in instants else t for name, t in schema.items()}
    frame = pl.read_csv(
        content,
        has_header=False,
        schema=text_instants,
        null_values=NULL_MARK,
        # an empty text is one: only the mark is NULL
        empty_string_is_null=False,
    )
    return frame.with_columns(
        pl.col(name).str.to_datetime(INSTANT_FORMAT, time_unit="us", time_zone="UTC")
        for name in instants
    )


@contextmanager
def one_instant(engine: Engine) -> Iterator[Reader]:
    """A reader for the block; its transaction may be as long as the work takes."""
    with engine.connect().execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    ) as connection:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield Reader(
            cast("psycopg.Connection[tuple[Any, ...]]", connection.connection.driver_connection)
        )
