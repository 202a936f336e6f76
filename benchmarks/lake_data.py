"""A lake of N orders written straight to Parquet and Delta by the contracts, kept between runs.

Belongs here: which shops it has, how much each, and the folder they are kept in. Does not: the rows
of a shop (lake_rows.py), the same rows in Postgres (postgres_copy.py) and measuring.

A hundred tenants, one with half of the orders, over three years. The rollup is computed from the
facts by the pipelines' own transform.
"""

import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zlib import crc32

import polars as pl
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn

from analytics.contracts import (
    CONTRACTS,
    DAILY_SALES,
    DIM_CUSTOMERS,
    DIM_PRODUCTS,
    DIM_VARIANTS,
    ORDERS,
    REFUNDS,
    STOCK_LEVELS,
    Contract,
)
from benchmarks.lake_rows import (
    FIRST_DAY,
    make_catalogue,
    make_customers,
    make_facts,
    make_ids,
    make_levels,
    make_moves,
    midnight,
)
from pipelines.frames import Grain, period_of, polars_schema
from pipelines.sinks.delta import LakeTable, Rewrite
from pipelines.transforms.daily_sales import additions, summed

# Part of the folder's name, as the contracts are: another number when the rows become others.
EDITION = 5
TENANTS = 100
ORDERS_PER_CUSTOMER = 5
# as the setting lake_month_rows has it
MONTH_ROWS = 200_000
LAST_DAY = date(2026, 1, 1)
MONTHS = 36
TIMEZONE = "UTC"


@dataclass(frozen=True)
class LakeData:
    """A lake in a folder: the version of each table, and its tenants, the largest first."""

    location: str
    versions: dict[str, int]
    tenant_ids: list[UUID]
    # of the largest tenant, of each other, and of all
    largest_orders: int
    median_orders: int
    orders: int

    @property
    def month_tenant_ids(self) -> list[UUID]:
        """Tenants whose facts are cut by month."""
        return self.tenant_ids[:1] if _grain(self.largest_orders) == "month" else []

    def end_of_months(self, orders: int) -> date:
        """The end of the first months in which the largest tenant has up to that many orders."""
        return self._month(min(MONTHS, orders * MONTHS // self.largest_orders))

    def start_of_months(self, orders: int) -> date:
        """The start of the last months in which it has up to that many."""
        return self._month(max(0, MONTHS - orders * MONTHS // self.largest_orders))

    @staticmethod
    def _month(number: int) -> date:
        return date(FIRST_DAY.year + number // 12, number % 12 + 1, 1)


def cache_folder() -> Path:
    """Where lakes are kept: SHOP_BENCH_CACHE, or a folder in the user's cache."""
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SHOP_BENCH_CACHE") or Path(user_cache) / "shop-api-bench")


def lake_of(orders: int) -> LakeData:
    """The lake of about that many orders, made once per machine."""
    contracts = crc32(repr([(name, CONTRACTS[name].column_names) for name in CONTRACTS]).encode())
    folder = cache_folder() / f"lake-{EDITION}-{contracts:08x}-{orders}"
    manifest = folder / "manifest.json"
    if not manifest.exists():
        shutil.rmtree(folder, ignore_errors=True)
        manifest_values = _write(folder, orders)
        manifest.write_text(json.dumps(manifest_values))
    values = json.loads(manifest.read_text())
    tenant_ids = [UUID(tenant_id) for tenant_id in values.pop("tenant_ids")]
    return LakeData(location=str(folder), tenant_ids=tenant_ids, **values)


def _write(folder: Path, orders: int) -> dict[str, Any]:
    console = Console(stderr=True)
    now = datetime.combine(LAST_DAY, datetime.min.time(), UTC)
    tables = {name: LakeTable(str(folder), contract) for name, contract in CONTRACTS.items()}
    for table in tables.values():
        table.open()
    rewrites = {name: Rewrite(table, now) for name, table in tables.items()}
    ids = make_ids(random.Random(0), TENANTS, midnight(FIRST_DAY))
    half = [orders // 2] + [orders // 2 // (TENANTS - 1)] * (TENANTS - 1)
    # as many in every month
    counts = [max(1, count // MONTHS) * MONTHS for count in half]
    columns = (*Progress.get_default_columns(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"{sum(counts):,} orders into {folder}", total=sum(counts))
        for number, (tenant_id, count) in enumerate(zip(ids, counts, strict=True)):
            for written in _write_tenant(rewrites, tenant_id, count, random.Random(number)):
                progress.advance(task, written)
    for rewrite in rewrites.values():
        rewrite.commit(1)
    size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    console.print(f"{size_bytes / 2**30:.2f} GiB, kept until you delete it")
    return {
        "versions": {name: table.version for name, table in tables.items()},
        "tenant_ids": ids,
        "largest_orders": counts[0],
        "median_orders": counts[-1],
        "orders": sum(counts),
    }


def _grain(orders: int) -> Grain:
    return "month" if orders // MONTHS * 12 > MONTH_ROWS else "year"


def _write_tenant(
    rewrites: dict[str, Rewrite], tenant_id: str, orders: int, source: random.Random
) -> Iterator[int]:
    """Add a tenant period by period; gives the orders of each when they are written."""
    grain = _grain(orders)
    spans = list(_spans(grain))
    count = orders // len(spans)
    catalogue = make_catalogue(source, max(1, orders // ORDERS_PER_CUSTOMER))
    rollups, moves = [], []
    for number, (start, end) in enumerate(spans):
        facts = make_facts(source, catalogue, start, end, count, number * count)
        of_tenant = pl.lit(tenant_id).alias("tenant_id")
        placed = facts[ORDERS.name].lazy().with_columns(of_tenant)
        returned = facts[REFUNDS.name].lazy().with_columns(of_tenant)
        rollups.append(summed(additions(placed, returned, TIMEZONE), TIMEZONE).collect())
        moves.append(make_moves(facts))
        for name, rows in facts.items():
            _add(rewrites[name], tenant_id, rows, grain)
        yield count
    _add(rewrites[DIM_PRODUCTS.name], tenant_id, catalogue.products, grain)
    _add(rewrites[DIM_VARIANTS.name], tenant_id, catalogue.variants, grain)
    _add(rewrites[STOCK_LEVELS.name], tenant_id, make_levels(catalogue), grain)
    customers = make_customers(catalogue, pl.concat(moves))
    _add(rewrites[DIM_CUSTOMERS.name], tenant_id, customers, grain)
    rollup = summed(pl.concat(rollups).lazy(), TIMEZONE).collect()
    _add(rewrites[DAILY_SALES.name], tenant_id, rollup, grain)


def _add(rewrite: Rewrite, tenant_id: str, rows: pl.DataFrame, grain: Grain) -> None:
    by_period = rows.with_columns(period_of(rewrite.contract, grain))
    for (period,), part in by_period.partition_by("period", as_dict=True).items():
        rewrite.add(tenant_id, str(period), _shaped(part, rewrite.contract))


def _shaped(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    return rows.select(
        pl.col(name).cast(column_type) for name, column_type in polars_schema(contract).items()
    )


def _spans(grain: Grain) -> Iterator[tuple[datetime, datetime]]:
    """The periods from the first day to the last, one after the other."""
    start = FIRST_DAY
    while start < LAST_DAY:
        days = 31 if grain == "month" else 366
        end = (start + timedelta(days=days)).replace(day=1)
        yield midnight(start), midnight(end)
        start = end
