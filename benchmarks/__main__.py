"""`python -m benchmarks [name …]`: run the benchmarks and print one table of ratios.

Exit status 1 when a budget is missed.
"""

import sys
from collections.abc import Callable

from benchmarks.bench_api import measure_api
from benchmarks.bench_cold_reads import measure_cold_reads
from benchmarks.bench_dashboard import measure_dashboard
from benchmarks.bench_export import measure_export
from benchmarks.bench_gateway import measure_gateway
from benchmarks.bench_hot_read import measure_hot_read
from benchmarks.bench_import import measure_import
from benchmarks.bench_paging import measure_paging
from benchmarks.bench_push import measure_push
from benchmarks.bench_realtime import measure_realtime
from benchmarks.bench_redis_away import measure_redis_away
from benchmarks.bench_search import measure_search
from benchmarks.bench_stock import measure_stock
from benchmarks.bench_webhooks import measure_webhooks
from benchmarks.measure import Result, print_results
from benchmarks.servers import Stores, fresh_stores

BENCHMARKS: dict[str, Callable[[Stores], list[Result]]] = {
    "api": measure_api,
    "hot_read": measure_hot_read,
    "gateway": measure_gateway,
    "cold_reads": measure_cold_reads,
    "redis_away": measure_redis_away,
    "dashboard": measure_dashboard,
    "paging": measure_paging,
    "search": measure_search,
    "stock": measure_stock,
    "export": measure_export,
    "import": measure_import,
    "realtime": measure_realtime,
    "push": measure_push,
    "webhooks": measure_webhooks,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all, each on fresh stores."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    results = []
    for name in names or list(BENCHMARKS):
        print(f"{name} …", file=sys.stderr, flush=True)
        with fresh_stores() as stores:
            results += BENCHMARKS[name](stores)
    print_results(results)
    return 0 if all(result.is_met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
