"""A thousand clients ask two processes for the same dashboard that nobody has asked for: DuckDB
computes it once, and all are given the same bytes.
"""

import itertools
import re
import time

from benchmarks.bench_dashboard import Span, whole_history
from benchmarks.lake_data import lake_of
from benchmarks.lake_shop import lake_environment, open_shop
from benchmarks.load import Connection, connections, request
from benchmarks.measure import Result
from benchmarks.servers import METRICS_KEY, Stores, serve
from shop_api.gateway.single_flight import BRIEF_SECONDS

CLIENTS = 1000
WORKERS = 2
THREADS = 8
ROUNDS = 5
ORDERS = 200_000
COUNT = re.compile(rb"^analytics_answer_duration_seconds_count (\S+)$", re.MULTILINE)


def measure_cold_reads(stores: Stores) -> list[Result]:
    """The most that any round had computed, and the longest that its answers took."""
    data = lake_of(ORDERS)
    shop = open_shop(stores, data)
    spans = whole_history()
    computed, together, alone = [], [], []
    environment = lake_environment(stores, data)
    with serve("shop_api.wsgi:app", environment, threads=THREADS, workers=WORKERS) as port:
        for span in itertools.islice(spans, 2 * WORKERS):
            # each process opens its engine with the first
            _ask(port, span, shop.key, 1)
        for _ in range(ROUNDS):
            alone.append(_ask(port, next(spans), shop.key, 1))
            before = _computed(port)
            together.append(_ask(port, next(spans), shop.key, CLIENTS))
            computed.append(_computed(port) - before)
    most, slowest = max(computed), max(together) * 1000
    title = f"{CLIENTS} cold dashboards at once"
    patience = BRIEF_SECONDS * 1000
    return [
        Result(f"{title}: computed by DuckDB / once", most, 1, "times", most, 1, is_at_most=True),
        Result(
            f"{title}: all answered / 1 s (one alone: {max(alone) * 1000:.0f} ms)",
            slowest,
            patience,
            "ms",
            slowest / patience,
            1,
            is_at_most=True,
        ),
    ]


def _ask(port: int, span: Span, key: str, clients: int) -> float:
    """Seconds until all have the answer; they must have the same."""
    data = request("GET", span.path, key)
    with connections(port, clients) as opened:
        started = time.perf_counter()
        for connection in opened:
            connection.send(data)
        answers = {connection.read() for connection in opened}
        elapsed = time.perf_counter() - started
    if len(answers) != 1 or {status for status, _ in answers} != {200}:
        statuses = sorted(status for status, _ in answers)
        raise RuntimeError(f"{len(answers)} different answers, of statuses {statuses[:20]}")
    return elapsed


def _computed(port: int) -> float:
    """How many answers DuckDB has made, in all processes."""
    connection: Connection
    with connections(port, 1) as (connection,):
        connection.send(request("GET", "/metrics", METRICS_KEY))
        status, body = connection.read()
    found = COUNT.search(body)
    if status != 200 or found is None:
        raise RuntimeError(f"no metrics: {status} {body[:200]!r}")
    return float(found[1])
