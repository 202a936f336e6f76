"""The dashboard over a large lake: beside the raw DuckDB queries, and beside Postgres (DESIGN §7).

Every request asks for another period, so none is answered from memory. The floor runs the very
statements that an answer takes, over the same files, with the same limits. Postgres holds the
orders of the largest tenant with the product's own tables and indexes.

SHOP_BENCH_ORDERS says how many orders the lake has, SHOP_BENCH_POSTGRES_ORDERS up to how many are
copied to Postgres; with fewer there than the tenant has, both sides answer for the first months
that hold just those: for all of them, and for their last 365 and 30 days.
"""

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

import duckdb
import psutil

from analytics.dashboard.answers import build_dashboard
from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine, Row, bind_files
from analytics.lake import Lake, Snapshot
from benchmarks.lake_data import LAST_DAY, TIMEZONE, LakeData, lake_of
from benchmarks.lake_rows import CURRENCY, FIRST_DAY, midnight
from benchmarks.lake_shop import AS_OF, lake_environment, open_shop
from benchmarks.load import Connection, connections, request
from benchmarks.measure import Result, paired
from benchmarks.postgres_copy import copy_orders
from benchmarks.postgres_dashboard import PostgresDashboard
from benchmarks.servers import Stores, serve
from benchmarks.shop import BenchShop
from shop_api.settings import Settings

ORDERS = int(os.environ.get("SHOP_BENCH_ORDERS", "1000000"))
POSTGRES_ORDERS = int(os.environ.get("SHOP_BENCH_POSTGRES_ORDERS", "500000"))
ANSWERS = 4
ROUNDS = 7
MEMORY_MIB = 200
# What the server gives its engine, the floor has too.
DUCKDB_MEMORY = Settings.model_fields["duckdb_memory"].default
DUCKDB_THREADS = Settings.model_fields["duckdb_threads"].default


@dataclass(frozen=True)
class Span:
    """The dates [start, end)."""

    start: date
    end: date

    @property
    def path(self) -> str:
        return f"/api/v1/analytics/dashboard?from={self.start}&to={self.end}"


# Statements with their bound files and values.
Statements = list[tuple[str, dict[str, Any]]]


class RecordingEngine(Engine):
    """An engine that notes what it runs."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.statements: Statements = []

    def run(self, statement: str, tables: Any, parameters: Any, **options: Any) -> list[Row]:
        text, bound = bind_files(statement, tables)
        self.statements.append((text, {**bound, **parameters}))
        return super().run(statement, tables, parameters, **options)


@dataclass(frozen=True)
class Question:
    """What is asked, each time a little different."""

    name: str
    spans: Iterator[Span]


def whole_history() -> Iterator[Span]:
    """All orders; it begins on another day before the first each time."""
    return (Span(FIRST_DAY - timedelta(days=back), LAST_DAY) for back in itertools.count())


def recent_windows() -> Iterator[Span]:
    """The last thirty days, one more each time."""
    return (Span(LAST_DAY - timedelta(days=30 + back), LAST_DAY) for back in itertools.count())


def month_windows() -> Iterator[Span]:
    """Thirty days, ending on another day each time."""
    ends = (LAST_DAY - timedelta(days=back) for back in itertools.count())
    return (Span(end - timedelta(days=30), end) for end in ends)


def measure_dashboard(stores: Stores) -> list[Result]:
    """Latency beside DuckDB and beside Postgres, and the memory of the worker that answered."""
    data = lake_of(ORDERS)
    shop = open_shop(stores, data)
    results = []
    environment = lake_environment(stores, data)
    with worker(environment, threads=8) as (port, process):
        for name, spans in (
            ("all", whole_history()),
            ("the last 30 days", recent_windows()),
            ("30 days of the past", month_windows()),
        ):
            title = f"dashboard, {name} of {data.largest_orders:,} orders / raw DuckDB"
            results.append(beside_duckdb(port, shop, data, title, spans))
        press(port, shop)
        memory = process.memory_full_info()
    # what one more worker takes: library code is shared by all processes
    mebibytes = memory.uss / 2**20
    name = f"memory of the api worker under load (RSS {memory.rss >> 20} MiB) / budget"
    results.append(Result(name, mebibytes, MEMORY_MIB, "MiB", mebibytes / MEMORY_MIB, 1, True))
    return [*results, *beside_postgres(stores, shop, data)]


@contextmanager
def worker(environment: dict[str, str], threads: int) -> Iterator[tuple[int, psutil.Process]]:
    """A served api of one worker: its port, and the process that answers."""
    with serve("shop_api.wsgi:app", environment, threads=threads) as port:
        children = psutil.Process().children(recursive=True)
        ours = {child.pid: child for child in children if str(port) in child.cmdline()}
        # granian's first process forks the worker
        (answering,) = [child for child in ours.values() if child.ppid() in ours]
        yield port, answering


def beside_duckdb(
    port: int, shop: BenchShop, data: LakeData, title: str, spans: Iterator[Span]
) -> Result:
    """What the server takes for an answer, beside its statements in DuckDB alone."""
    raw = _raw_connection()
    asked: list[Span] = [next(spans)]

    def ours() -> float:
        # a connection of its own: the server closes one that is idle while the floor runs
        with connections(port, 1) as (connection,):
            ask = asker(connection, shop)
            asked[:] = itertools.islice(spans, ANSWERS)
            return _mean_seconds([partial(ask, span) for span in asked])

    def floor() -> float:
        recorded = [_statements(data, span) for span in asked]
        return _mean_seconds([partial(_run_raw, raw, statements) for statements in recorded])

    ours()
    floor()
    measured, seconds, ratio = paired(ours, floor, ROUNDS)
    return Result(title, measured * 1000, seconds * 1000, "ms", ratio, 1.5, is_at_most=True)


def _mean_seconds(calls: list[Callable[[], object]]) -> float:
    started = time.perf_counter()
    for call in calls:
        call()
    return (time.perf_counter() - started) / len(calls)


def asker(connection: Connection, shop: BenchShop) -> Callable[[Span], dict[str, Any]]:
    """Asks for the dashboard of a span."""

    def ask(span: Span) -> dict[str, Any]:
        connection.send(request("GET", span.path, shop.key))
        status, body = connection.read()
        if status != 200:
            raise RuntimeError(f"{status}: {body[:500]!r}")
        answer: dict[str, Any] = json.loads(body)
        return answer

    return ask


def _raw_connection() -> duckdb.DuckDBPyConnection:
    raw = duckdb.connect(
        ":memory:", config={"memory_limit": DUCKDB_MEMORY, "threads": DUCKDB_THREADS}
    )
    raw.execute("SET TimeZone = 'UTC'")
    raw.execute("SET parquet_metadata_cache = true")
    raw.execute("SET validate_external_file_cache = 'VALIDATE_REMOTE'")
    return raw


def _run_raw(raw: duckdb.DuckDBPyConnection, statements: Statements) -> None:
    for text, bound in statements:
        raw.execute(text, bound).fetchall()


def _statements(data: LakeData, span: Span) -> Statements:
    """What the answer for a span runs, noted by running it once."""
    engine = RecordingEngine(data.location)
    asked = AnalyticsRequest(
        tenant_id=str(data.tenant_ids[0]),
        snapshot=Snapshot(1, AS_OF, data.versions),
        timezone=TIMEZONE,
        currency=CURRENCY,
        currency_digits=2,
        now=AS_OF,
        start=span.start,
        end=span.end,
    )
    build_dashboard(engine, Lake(data.location), asked)
    engine.close()
    return engine.statements


def press(port: int, shop: BenchShop) -> None:
    """Eight clients at once: dashboards from the lake, one of them hot."""
    hot = request("GET", next(month_windows()).path, shop.key)
    spans = month_windows()
    everything = whole_history()
    with connections(port, 8) as opened:
        for _ in range(10):
            for connection in opened[:4]:
                connection.send(request("GET", next(spans).path, shop.key))
            for connection in opened[4:6]:
                connection.send(request("GET", next(everything).path, shop.key))
            for connection in opened[6:]:
                connection.send(hot * 50)
            for connection in opened[:6]:
                connection.read()
            for connection in opened[6:]:
                for _ in range(50):
                    connection.read()


def beside_postgres(stores: Stores, shop: BenchShop, data: LakeData) -> list[Result]:
    """The same figures from the orders themselves, of as many months as Postgres is given."""
    end = data.end_of_months(POSTGRES_ORDERS)
    orders = copy_orders(stores, data, end=midnight(end))
    with (
        serve("shop_api.wsgi:app", lake_environment(stores, data), threads=1) as port,
        PostgresDashboard(stores, shop.tenant_id) as database,
    ):
        return [
            _beside_database(port, shop, database, f"{name} of {orders:,} orders", spans)
            for name, spans in _until(end)
        ]


def _until(end: date) -> Iterator[tuple[str, Iterator[Span]]]:
    """Spans up to the end, each another: all before it, a year and a month where they are less."""
    yield "all", (Span(FIRST_DAY - timedelta(days=back), end) for back in itertools.count())
    for days in (365, 30):
        if end - FIRST_DAY > timedelta(days=days + ANSWERS):
            yield (
                f"{days} days",
                (Span(end - timedelta(days=days + back), end) for back in itertools.count()),
            )


def _beside_database(
    port: int, shop: BenchShop, database: PostgresDashboard, title: str, spans: Iterator[Span]
) -> Result:
    asked: list[Span] = [next(spans)]

    def ours() -> float:
        with connections(port, 1) as (connection,):
            ask = asker(connection, shop)
            asked[:] = itertools.islice(spans, ANSWERS)
            return 1 / _mean_seconds([partial(ask, span) for span in asked])

    def theirs() -> float:
        return 1 / _mean_seconds([partial(database.ask, asked[-1].start, asked[-1].end)])

    (first,) = asked
    with connections(port, 1) as (connection,):
        database.compare(asker(connection, shop)(first), first.start, first.end)
    measured, seconds, ratio = paired(ours, theirs, rounds=3)
    name = f"dashboard, {title} / the same figures from Postgres"
    return Result(name, measured, seconds, "1/s", ratio, 50)
