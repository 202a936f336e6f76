"""The only door to DuckDB: one instance per process, a cursor and a deadline per query.

Belongs here: limits, the lock on the lake's folder, binding files and values to a statement. Does
not: which files (lake.py), which statements (queries/) and what their rows mean. Values and file
lists are always bound as parameters; nothing here builds SQL from input.
"""

import heapq
import os
import pickle
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from analytics.beside import STOP_SECONDS, Beside, interruptible
from analytics.contracts import CONTRACTS, Column
from analytics.contracts.contract import OlderFile
from analytics.mirror import Mirror
from analytics.store import Store

Row = dict[str, Any]
Relation = duckdb.DuckDBPyRelation
# What DuckDB says of bytes that are no Parquet; its other errors are of statements.
IN_THE_FILES = (duckdb.Error, duckdb.InvalidInputException, duckdb.SerializationException)
# Given the text of a query; what it returns is entered before the query and left behind it.
Observe = Callable[[str], AbstractContextManager[object]]


class QueryTimeout(Exception):
    """The query did not end before its deadline and was interrupted."""


class QueryTooLarge(Exception):
    """The query needs more memory than the engine may use."""


class FilesGone(Exception):
    """A file of the snapshot was replaced long ago and is deleted: read a newer snapshot."""


class FilesDamaged(Exception):
    """A file of the snapshot is not what was written to it; the message is DuckDB's."""


class BadStatement(Exception):
    """DuckDB does not take the statement, or it fails on the rows; the message is DuckDB's."""


class Engine:
    """Runs statements over lists of Parquet files of one lake."""

    def __init__(
        self,
        location: str | Store,
        *,
        mirror: Mirror | None = None,
        within: Sequence[str] = ("",),
        memory_limit: str = "512MB",
        threads: int = 2,
        temp_directory: str | None = None,
        observe: Observe = nullcontext,
    ) -> None:
        store = location if isinstance(location, Store) else Store(location)
        if store.is_remote and mirror is None:
            raise ValueError(f"{store.location} is read from a mirror on this machine's disk")
        self._mirror = mirror
        # files are read below it, in what is `within` it, and nowhere else
        self.folder = store.location if mirror is None else str(mirror.folder)
        spill = temp_directory or str(Path(tempfile.gettempdir()) / f"shop-duckdb-{os.getpid()}")
        self._database = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": memory_limit,
                "threads": threads,
                "temp_directory": spill,
                # a worker gives back what a large query took
                "allocator_flush_threshold": "8MB",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        self._lock_down(within)
        # More at once would share the same threads and only add up their memory.
        self._turns = threading.BoundedSemaphore(threads)
        # with the thread that asks one for each turn; none is started before its first part
        self._pool = ThreadPoolExecutor(threads - 1, "query-beside") if threads > 1 else None
        self._watchdog = _Watchdog()
        self._observe = observe
        # also when the process ends without closing it
        self._finalizer = weakref.finalize(self, _close, self._watchdog, self._database, self._pool)

    def _lock_down(self, within: Sequence[str]) -> None:
        """No file outside the lake, no network, no extension, and no way to allow them again."""
        folders = [f"{self.folder}/{part}".replace("'", "''") for part in within]
        allowed = ", ".join(f"'{folder}'" for folder in folders)
        for statement in (
            "SET TimeZone = 'UTC'",
            # A file of the lake is written once, so what was read of it stays true.
            "SET parquet_metadata_cache = true",
            "SET validate_external_file_cache = 'VALIDATE_REMOTE'",
            f"SET allowed_directories = [{allowed}]",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ):
            self._database.execute(statement)

    def run(
        self,
        statement: str,
        tables: Mapping[str, Sequence[str]],
        parameters: Mapping[str, Any],
        *,
        deadline_seconds: float = 30.0,
    ) -> list[Row]:
        """The rows of a SELECT over `tables`, each given as its files; `$name`s are parameters."""
        with self._observe(statement), self._local(tables, deadline_seconds) as local:
            text, bound = bind_files(statement, local)
            return self._run(text, {**bound, **parameters}, deadline_seconds)

    def batches(
        self,
        statement: str,
        tables: Mapping[str, Sequence[str]],
        parameters: Mapping[str, Any],
        *,
        deadline_seconds: float = 30.0,
        batch_rows: int = 2_000,
    ) -> Generator[list[Row], None, None]:
        """The same rows a part at a time, for who writes them away: never all in memory.

        They wait in a temporary file, and the next query takes its turn while they are written: an
        Excel file of 200 000 rows takes ten times as long as its query. Past the deadline no part
        is given any more.
        """
        deadline = time.monotonic() + deadline_seconds
        with tempfile.TemporaryFile(prefix="shop-rows-") as spool:
            with self._observe(statement), self._local(tables, deadline_seconds) as local:
                text, bound = bind_files(statement, local)
                with self._executed(text, {**bound, **parameters}, deadline_seconds) as cursor:
                    names = _names(cursor)
                    while found := cursor.fetchmany(batch_rows):
                        pickle.dump(found, spool, pickle.HIGHEST_PROTOCOL)
            end = spool.tell()
            spool.seek(0)
            while spool.tell() < end:
                if time.monotonic() > deadline:
                    raise QueryTimeout("the rows were not written before the deadline")
                # of this process' own making, in a file that has no name
                part = pickle.load(spool)  # noqa: S301
                yield [dict(zip(names, row, strict=True)) for row in part]

    def beside(self) -> Beside:
        """To begin queries of one answer before their rows are needed."""
        return Beside(self._pool)

    def relation(self, table: str, files: Sequence[str]) -> Relation:
        """The rows of a table's files on this disk, as DuckDB's own relation: read when asked."""
        cursor = self._database.cursor()
        if not files:
            return cursor.sql(_no_rows(table))
        paths = [str(path) for path in files]
        if not _has_older(files):
            return cursor.read_parquet(paths, hive_partitioning=False)
        found = cursor.read_parquet(paths, hive_partitioning=False, union_by_name=True)
        # not by a UNION: a relation of a statement with parameters is held in memory
        return found.project(
            ", ".join(
                column.name if column.name in found.columns else _null(column)
                for column in CONTRACTS[table].columns
            )
        )

    @contextmanager
    def _local(
        self, tables: Mapping[str, Sequence[str]], deadline_seconds: float
    ) -> Iterator[Mapping[str, Sequence[str]]]:
        """The tables' files where DuckDB may read them."""
        if self._mirror is None:
            yield tables
            return
        try:
            uris = {uri for files in tables.values() for uri in files}
            with self._mirror.held(uris, deadline_seconds) as local:
                yield {name: _where(files, local) for name, files in tables.items()}
        except TimeoutError as error:
            raise QueryTimeout("files were not fetched before the deadline") from error
        except FileNotFoundError as error:
            raise FilesGone(
                "a file of this snapshot is not there any more; read the newest snapshot"
            ) from error

    def _run(self, text: str, bound: dict[str, Any], deadline_seconds: float) -> list[Row]:
        with self._executed(text, bound, deadline_seconds) as cursor:
            names = _names(cursor)
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    @contextmanager
    def _executed(
        self, text: str, bound: dict[str, Any], deadline_seconds: float
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor with the rows of a statement, in its turn and until its deadline."""
        deadline = time.monotonic() + deadline_seconds
        if not self._turns.acquire(timeout=deadline_seconds):
            raise QueryTimeout(f"a query had no turn within {deadline_seconds:g} s")
        try:
            cursor = self._database.cursor()
            ticket = self._watchdog.watch(cursor, deadline)
            try:
                with interruptible(cursor.interrupt):
                    cursor.execute(text, bound)
                    yield cursor
            except duckdb.InterruptException as error:
                raise QueryTimeout("a query ran past its deadline") from error
            except duckdb.OutOfMemoryException as error:
                raise QueryTooLarge("a query needs more memory than the engine may use") from error
            except duckdb.IOException as error:
                raise FilesGone(
                    "a file of this snapshot is not there any more; read the newest snapshot"
                ) from error
            except duckdb.Error as error:
                if type(error) in IN_THE_FILES and any(name.endswith("_files") for name in bound):
                    raise FilesDamaged(str(error)) from error
                raise BadStatement(str(error)) from error
            finally:
                self._watchdog.release(ticket)
                cursor.close()
        finally:
            self._turns.release()

    def close(self) -> None:
        """Give back memory and threads."""
        self._finalizer()


def check_select(statement: str) -> None:
    """Raises BadStatement, in words for who wrote it, unless it is one SELECT."""
    try:
        found = duckdb.extract_statements(statement)
    except duckdb.Error as error:
        raise BadStatement(str(error)) from error
    if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
        raise BadStatement("The lake takes one SELECT at a time, and nothing else.")


def write_parquet(source: Path, target: Path, columns: Mapping[str, str]) -> None:
    """Lines of JSON as Parquet of these columns, name → SQL type, by an engine of its own.

    Numbers are written in the lines as text, so that none passes through a float.
    """
    fields = ", ".join(f"'{name}': '{sql_type}'" for name, sql_type in columns.items())
    lines = f"read_json($source, columns = {{{fields}}}, format = 'newline_delimited')"
    database = duckdb.connect(":memory:", config={"memory_limit": "128MB", "threads": 1})
    try:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(
            f"COPY (SELECT * FROM {lines}) TO $target (FORMAT parquet, COMPRESSION zstd)",
            {"source": str(source), "target": str(target)},
        )
    finally:
        database.close()


def _names(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    return [column[0] for column in cursor.description or ()]


def _close(
    watchdog: "_Watchdog", database: duckdb.DuckDBPyConnection, pool: ThreadPoolExecutor | None
) -> None:
    if pool is not None:
        pool.shutdown(wait=False, cancel_futures=True)
    watchdog.stop()
    if pool is not None:
        pool.shutdown()
    database.close()


def bind_files(
    statement: str, tables: Mapping[str, Sequence[str]]
) -> tuple[str, dict[str, list[str]]]:
    """The statement with its tables defined in front of it, and the file lists to bind.

    A table without files is an empty relation of its contract's columns; what a file was written
    without is null.
    """
    relations: list[str] = []
    bound: dict[str, list[str]] = {}
    for name, files in tables.items():
        if not files:
            source = _no_rows(name)
        else:
            bound[f"{name}_files"] = [str(path) for path in files]
            source = f"SELECT * FROM read_parquet(${name}_files, hive_partitioning = false)"
            if _has_older(files):
                # dearer by the footers of all files, which are read before the plan is made
                options = "hive_partitioning = false, union_by_name = true"
                read = f"SELECT * FROM read_parquet(${name}_files, {options})"
                source = f"{read} UNION ALL BY NAME {_no_rows(name)}"
        relations.append(f"{name} AS NOT MATERIALIZED ({source})")
    body = statement.strip().rstrip(";")
    if not relations:
        return body, bound
    return f"WITH {', '.join(relations)}\nSELECT * FROM (\n{body}\n) AS answer", bound


def _has_older(files: Sequence[str]) -> bool:
    return any(isinstance(path, OlderFile) for path in files)


def _where(files: Sequence[str], local: Mapping[str, str]) -> list[str]:
    """The files on this disk; an older one is older there, too."""
    return [OlderFile(local[f]) if isinstance(f, OlderFile) else local[f] for f in files]


def _null(column: Column) -> str:
    return f"CAST(NULL AS {column.sql_type}) AS {column.name}"


def _no_rows(table: str) -> str:
    columns = ", ".join(_null(column) for column in CONTRACTS[table].columns)
    return f"SELECT {columns} WHERE false"


class _Watchdog:
    """Interrupts cursors whose deadline has passed, from one thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._numbers = count()
        # (deadline, number) of running queries; a released number is no longer in `_cursors`
        self._deadlines: list[tuple[float, int]] = []
        self._cursors: dict[int, duckdb.DuckDBPyConnection] = {}
        self._is_stopped = False
        self._thread: threading.Thread | None = None

    def watch(self, cursor: duckdb.DuckDBPyConnection, deadline: float) -> int:
        """Interrupt `cursor` at `deadline`, unless the returned ticket is released before."""
        with self._condition:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="query-deadlines", daemon=True
                )
                self._thread.start()
            ticket = next(self._numbers)
            self._cursors[ticket] = cursor
            is_next = not self._deadlines or deadline < self._deadlines[0][0]
            heapq.heappush(self._deadlines, (deadline, ticket))
            if is_next:
                self._condition.notify()
        return ticket

    def release(self, ticket: int) -> None:
        """The query has ended; after this its cursor is not interrupted."""
        with self._condition:
            self._cursors.pop(ticket, None)

    def stop(self) -> None:
        """End the thread and what runs, which would keep the database from being closed."""
        end = time.monotonic() + STOP_SECONDS
        with self._condition:
            self._is_stopped = True
            self._condition.notify()
            # again, for a query that had not begun to run when it was interrupted
            while self._cursors and time.monotonic() < end:
                for cursor in self._cursors.values():
                    cursor.interrupt()
                self._condition.wait(0.01)
        if self._thread is not None:
            self._thread.join(timeout=STOP_SECONDS)

    def _run(self) -> None:
        with self._condition:
            while not self._is_stopped:
                now = time.monotonic()
                while self._deadlines and (
                    self._deadlines[0][0] <= now or self._deadlines[0][1] not in self._cursors
                ):
                    _, ticket = heapq.heappop(self._deadlines)
                    cursor = self._cursors.pop(ticket, None)
                    if cursor is not None:
                        cursor.interrupt()
                self._condition.wait(self._deadlines[0][0] - now if self._deadlines else None)
