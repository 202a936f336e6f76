"""What is asked of a lake of any size, and what it costs a served api with nothing kept.

Belongs here: the questions, their milliseconds, the first request after a start and the worker's
memory. Does not: raw DuckDB and Postgres beside it (bench_dashboard.py), and writing the lake.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles

from benchmarks.bench_dashboard import (
    Span,
    month_windows,
    press,
    recent_windows,
    whole_history,
    worker,
)
from benchmarks.lake_data import LakeData
from benchmarks.lake_shop import lake_environment
from benchmarks.load import connections, request
from benchmarks.measure import Result
from benchmarks.servers import Stores
from benchmarks.shop import BenchShop

DASHBOARDS = 40
ASKED = 5
LONG_MS = 3_000.0
STARTS = 3
LARGEST_MS, MEDIAN_MS, FIRST_MS = 150.0, 50.0, 1_000.0
MEMORY_MIB = 250
THREADS = 8

# Bytes of the request for a span, with a key.
Make = Callable[[Span, str], bytes]
Spans = Iterator[Span]


def _get(path: str) -> Make:
    def make(span: Span, key: str) -> bytes:
        return request("GET", f"/api/v1/{path}?from={span.start}&to={span.end}", key)

    return make


def _query(*dimensions: str) -> Make:
    def make(span: Span, key: str) -> bytes:
        body = {
            "metrics": ["net_sales", "units"],
            "dimensions": dimensions,
            "from": f"{span.start}",
            "to": f"{span.end}",
            "interval": "day" if "time" in dimensions else "month",
        }
        return request("POST", "/api/v1/analytics/query", key, json.dumps(body).encode())

    return make


DASHBOARD = _get("analytics/dashboard")
# By its name in the table and the drawing: what is asked, and of which spans.
QUESTIONS: dict[str, tuple[Make, Callable[[], Spans]]] = {
    "dashboard, the last 30 days": (DASHBOARD, recent_windows),
    "dashboard, 30 days of the past": (DASHBOARD, month_windows),
    "dashboard, 3 years": (DASHBOARD, whole_history),
    "query, 3 years in all": (_query(), whole_history),
    "query, 30 days by day": (_query("time"), month_windows),
    "query, 30 days, variant × country": (_query("variant", "country"), month_windows),
    "customers, 30 days": (_get("analytics/customers"), month_windows),
    "customers, 3 years": (_get("analytics/customers"), whole_history),
    "inventory report, 30 days": (_get("analytics/reports/inventory"), month_windows),
}


class Refused(Exception):
    """The answer would take more time or memory than it may."""


def ask(port: int, key: str, make: Make, spans: Spans, count: int) -> list[float]:
    """Milliseconds of each of so many answers, one after the other, none asked for before."""
    taken = []
    with connections(port, 1) as (connection,):
        for span in itertools.islice(spans, count):
            data = make(span, key)
            started = time.perf_counter()
            connection.send(data)
            status, body = connection.read()
            taken.append((time.perf_counter() - started) * 1000)
            if status in (503, 504):
                raise Refused(json.loads(body)["code"])
            if status != 200:
                raise RuntimeError(f"{status}: {body[:500]!r}")
    return taken


def measure_questions(
    stores: Stores, data: LakeData, shop: BenchShop, report: Callable[[str], None]
) -> dict[str, float | None]:
    """Milliseconds of every question for the largest tenant, by its name; None: refused."""
    costs: dict[str, float | None] = {}
    with _served(stores, data) as port:
        for name, (make, spans) in QUESTIONS.items():
            report(f"{data.orders:,} orders: {name}")
            asked = spans()
            try:
                first = ask(port, shop.key, make, asked, 1)
                again = ask(port, shop.key, make, asked, ASKED) if first[0] <= LONG_MS else first
            except Refused as refused:
                report(f"refused: {refused}")
                costs[name] = None
            else:
                costs[name] = median(again)
    return costs


def measure_latency(
    stores: Stores, data: LakeData, largest: BenchShop, median_shop: BenchShop
) -> list[Result]:
    """The slowest twentieth of dashboards, the first answer of a process, and its memory."""
    firsts = []
    for _ in range(STARTS):
        with _served(stores, data) as port:
            firsts += ask(port, largest.key, DASHBOARD, recent_windows(), 1)
    with worker(lake_environment(stores, data), threads=THREADS) as (port, process):
        results = []
        for shop, orders, budget_ms in (
            (largest, data.largest_orders, LARGEST_MS),
            (median_shop, data.median_orders, MEDIAN_MS),
        ):
            spans = recent_windows()
            ask(port, shop.key, DASHBOARD, spans, 2)
            p95 = quantiles(ask(port, shop.key, DASHBOARD, spans, DASHBOARDS), n=20)[-1]
            name = f"dashboard of the last 30 to 70 days, p95, tenant of {orders:,} orders / budget"
            results.append(at_most(name, p95, budget_ms, "ms"))
        press(port, largest)
        mebibytes = process.memory_full_info().uss / 2**20
    first = at_most("first dashboard after a start / 1 s", median(firsts), FIRST_MS, "ms")
    memory = at_most("memory of the api worker under load / budget", mebibytes, MEMORY_MIB, "MiB")
    return [*results, first, memory]


def at_most(name: str, measured: float, budget: float, unit: str) -> Result:
    """A budget in a unit of its own."""
    return Result(name, measured, budget, unit, measured / budget, 1, is_at_most=True)


@contextmanager
def _served(stores: Stores, data: LakeData) -> Iterator[int]:
    with worker(lake_environment(stores, data), threads=THREADS) as (port, _):
        yield port
