"""Writing lakes of any size: a run after changed orders, a backfill, and its memory.

Belongs here: exports into a large lake. Does not: reading it (scale_answers.py), and the same in
small (bench_export.py).

Postgres holds the largest tenant's catalogue, customers and latest orders; the lake holds all. A
run reads what changed by its keys, so what else Postgres has is a matter of an index's height.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bench_export import CHANGED, ExportedShop, exporting
from benchmarks.lake_data import LakeData
from benchmarks.lake_rows import midnight
from benchmarks.lake_shop import open_shop
from benchmarks.measure import Result, paired
from benchmarks.postgres_copy import copy_orders
from benchmarks.scale_answers import at_most
from benchmarks.servers import fresh_stores

ROUNDS = 7
REBUILD_ROUNDS = 3
BACKFILL_MIB = 1024


def measure_writing(
    lakes: list[LakeData], postgres_orders: int
) -> tuple[list[float], list[Result]]:
    """Milliseconds of a run after changed orders by lake, and the budgets of writing."""
    with ExitStack() as stack:
        opened = [stack.enter_context(_writable(data, postgres_orders)) for data in lakes]
        shops = [shop for shop, _ in opened]
        for shop in shops:
            # the first run reads what later ones know
            shop.export_changes()
        costs = [1000 * median(shop.export_changes() for _ in range(3)) for shop in shops]
        results = []
        if len(shops) > 1:
            taken, floor, ratio = paired(shops[-1].export_changes, shops[-2].export_changes, ROUNDS)
            small, large = (f"{data.orders:,}" for data in lakes[-2:])
            title = f"run after {CHANGED:,} changed orders of {large} / of {small}"
            results = [Result(title, taken * 1000, floor * 1000, "ms", ratio, 1.5, is_at_most=True)]
        return costs, [*results, *_backfill(*opened[-1])]


@contextmanager
def _writable(data: LakeData, postgres_orders: int) -> Iterator[tuple[ExportedShop, int]]:
    """The lake's largest tenant with its latest orders in Postgres, and how many these are."""
    start = midnight(data.start_of_months(postgres_orders))
    with fresh_stores() as stores:
        shop = open_shop(stores, data)
        orders = copy_orders(stores, data, start=start)
        # the files of a lake never change: another name for each is a copy
        copied = Path(data.location).with_name(f"{stores.folder.name}-lake")
        shutil.copytree(data.location, copied, copy_function=os.link)
        try:
            with exporting(stores, shop.tenant_id, str(copied)) as exported:
                yield exported, orders
        finally:
            shutil.rmtree(copied)


def _backfill(shop: ExportedShop, orders: int) -> list[Result]:
    """A rebuild beside COPY, and what the command's process takes at most."""
    with exporting(shop.stores, shop.tenant_id, str(shop.stores.folder / "anew")) as anew:
        rebuilt, copied, _ = paired(anew.rebuild, anew.copy_out, REBUILD_ROUNDS)
    speed = Result(
        f"rebuild of {orders:,} orders / COPY TO of the same columns",
        orders / rebuilt,
        orders / copied,
        "orders/s",
        copied / rebuilt,
        0.5,
    )
    environment = {**shop.stores.environment(), "SHOP_LAKE_URL": f"{shop.stores.folder}/anew"}
    mebibytes = _peak_mib([_script("shop-api"), "lake", "rebuild"], environment)
    return [speed, at_most("peak memory of a backfill / budget", mebibytes, BACKFILL_MIB, "MiB")]


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _peak_mib(command: list[str], environment: dict[str, Any]) -> float:
    """The most that a command's process had in memory."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{command} ended with status {status}")
    return used.ru_maxrss / 1024
