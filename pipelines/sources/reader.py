"""One instant of Postgres, as Polars frames.

Belongs here: the transaction all sources read in, and COPY to a frame. Does not: what is read (the
other files of this folder).
"""

import selectors
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import polars as pl
import psycopg
from psycopg import pq
from sqlalchemy import Engine

# NULL in COPY's output: a character no text column holds on its own.
NULL_MARK = "\x01"
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
        content = self._copy(
            psycopg.ClientCursor(self.connection).mogrify(
                f"COPY ({query}) TO STDOUT (FORMAT csv, NULL E'\\x01')".encode(), parameters or {}
            )
        )
        if not content:
            return pl.DataFrame(schema=schema)
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

    def _copy(self, statement: str) -> bytes:
        """What a COPY sends. libpq is asked directly: psycopg's own loop takes thrice as long."""
        pg = self.connection.pgconn
        rows: list[bytes] = []
        with selectors.DefaultSelector() as selector:
            selector.register(pg.socket, selectors.EVENT_READ)

            def result() -> pq.abc.PGresult | None:
                while pg.is_busy():
                    selector.select()
                    pg.consume_input()
                return pg.get_result()

            pg.send_query(statement.encode())
            while pg.flush():
                selector.modify(pg.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
                selector.select()
                pg.consume_input()
            selector.modify(pg.socket, selectors.EVENT_READ)
            answer = result()
            if answer is not None and answer.status == pq.ExecStatus.COPY_OUT:
                while (received := pg.get_copy_data(1))[0] >= 0:
                    if received[0]:
                        rows.append(bytes(received[1]))
                    else:
                        selector.select()
                        pg.consume_input()
                answer = result()
            while (more := result()) is not None:
                answer = more
        if answer is None:
            raise psycopg.OperationalError("the connection ended during COPY")
        if answer.status != pq.ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(answer)
        return b"".join(rows)


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
