"""`python -m benchmarks.bench_scale`: the lake at its largest, and what it costs on the way there.

Belongs here: which sizes are measured, the tables, the file of what was measured and its drawing.
Does not: the measurements (scale_answers.py, scale_writing.py, scale_traffic.py).

SHOP_BENCH_ORDERS is the largest size (ten million unless told); a tenth and a hundredth of it are
measured, too. SHOP_BENCH_POSTGRES_ORDERS says how many orders of the largest tenant are copied to
Postgres, where the same figures are asked of it, and the latest of which are exported.
SHOP_BENCH_OUT is a folder for scale.json and scale.svg. Exit status 1 when a budget is missed.
"""

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.bench_dashboard import (
    beside_duckdb,
    beside_postgres,
    month_windows,
    recent_windows,
    whole_history,
    worker,
)
from benchmarks.lake_data import LakeData, cache_folder, lake_of
from benchmarks.lake_shop import add_tenant, lake_environment, open_shop
from benchmarks.measure import Result, print_results
from benchmarks.scale_answers import measure_latency, measure_questions
from benchmarks.scale_plot import draw_costs
from benchmarks.scale_traffic import measure_traffic
from benchmarks.scale_writing import measure_writing
from benchmarks.servers import fresh_stores

ORDERS = int(os.environ.get("SHOP_BENCH_ORDERS", "10000000"))
POSTGRES_ORDERS = int(os.environ.get("SHOP_BENCH_POSTGRES_ORDERS", "500000"))
SIZES = (ORDERS // 100, ORDERS // 10, ORDERS)
RUN = "run after 1,000 changed orders"

console = Console(stderr=True)


def main() -> int:
    """Measure, print, keep and draw."""
    lakes = [lake_of(orders) for orders in SIZES]
    sizes: list[dict[str, Any]] = []
    for data in lakes:
        with fresh_stores() as stores:
            shop = open_shop(stores, data)
            costs = measure_questions(stores, data, shop, _tell)
        sizes.append({"orders": data.orders, "milliseconds": costs})
    results = _reading(lakes[-1])
    _tell("runs and a backfill")
    runs, written = measure_writing(lakes, POSTGRES_ORDERS)
    for size, milliseconds in zip(sizes, runs, strict=True):
        size["milliseconds"][RUN] = milliseconds
    _tell("storefront events")
    with fresh_stores() as stores:
        traffic = measure_traffic(stores)
    measured = {"machine": _machine(), "sizes": sizes, "events_per_second": traffic}
    _keep(measured)
    _print_costs(measured)
    print_results([*results, *written])
    return 0 if all(result.is_met for result in [*results, *written]) else 1


def _reading(data: LakeData) -> list[Result]:
    """Answers from the largest lake beside the budgets, DuckDB alone and Postgres."""
    with fresh_stores() as stores:
        largest = open_shop(stores, data)
        middle = add_tenant(stores, data.tenant_ids[len(data.tenant_ids) // 2])
        _tell("latency, first request and memory")
        results = measure_latency(stores, data, largest, middle)
    with fresh_stores() as stores:
        # its Redis has kept nothing of what was asked before
        largest = open_shop(stores, data)
        with worker(lake_environment(stores, data), threads=8) as (port, _):
            for name, spans in (
                ("the last 30 days", recent_windows()),
                ("30 days of the past", month_windows()),
                ("3 years", whole_history()),
            ):
                _tell(f"dashboard of {name} beside raw DuckDB")
                title = f"dashboard, {name} of {data.largest_orders:,} orders / raw DuckDB"
                results.append(beside_duckdb(port, largest, data, title, spans))
        _tell("dashboard beside Postgres")
        return [*results, *beside_postgres(stores, largest, data)]


def _tell(step: str) -> None:
    console.print(f"{step} …")


def _machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}"


def _keep(measured: dict[str, Any]) -> None:
    folder = Path(os.environ.get("SHOP_BENCH_OUT") or cache_folder())
    (folder / "scale.json").write_text(json.dumps(measured, indent=2, ensure_ascii=False) + "\n")
    draw_costs(measured, folder / "scale.svg")
    console.print(f"scale.json and scale.svg are in {folder}")


def _print_costs(measured: dict[str, Any]) -> None:
    table = Table(title=f"Milliseconds, nothing kept ({measured['machine']})")
    table.add_column("what")
    for size in measured["sizes"]:
        table.add_column(f"{size['orders']:,} orders", justify="right")
    for name in measured["sizes"][0]["milliseconds"]:
        costs = (size["milliseconds"][name] for size in measured["sizes"])
        table.add_row(name, *("refused" if cost is None else f"{cost:,.0f}" for cost in costs))
    Console(width=120).print(table)
    for name, rate in measured["events_per_second"].items():
        print(f"{name}: {rate:,.0f} events/s")


if __name__ == "__main__":
    sys.exit(main())
