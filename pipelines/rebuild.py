"""Tenants from nothing: all their rows anew from Postgres, period by period.

Belongs here: streaming a tenant's whole history in bounded memory. Does not: which tenants
(runner.py) and changed rows (incremental.py).

While one period is shaped and written, the next is read: Postgres and Polars work side by side, and
no more than two periods are in memory.
"""

from collections.abc import Callable, Collection, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import polars as pl

from analytics.contracts import (
    API_USAGE,
    DAILY_SALES,
    DIM_CUSTOMERS,
    DIM_PRODUCTS,
    DIM_VARIANTS,
    EXCHANGE_RATES,
    INVENTORY_MOVEMENTS,
    ORDERS,
    REFUNDS,
    STOCK_LEVELS,
)
from pipelines.changeset import Changeset
from pipelines.exports.api_usage import export_api_usage
from pipelines.exports.daily_sales import Facts, export_daily_sales
from pipelines.exports.dim_customers import export_dim_customers
from pipelines.exports.dim_products import export_dim_products
from pipelines.exports.dim_variants import export_dim_variants
from pipelines.exports.exchange_rates import export_exchange_rates
from pipelines.exports.facts import FACTS, export_facts
from pipelines.exports.inventory_movements import export_inventory_movements
from pipelines.exports.stock_levels import export_stock_levels
from pipelines.frames import Grain, period_of
from pipelines.sinks.delta import empty
from pipelines.sources.catalog import CatalogRows, read_all_products
from pipelines.sources.customers import read_all_customers
from pipelines.sources.exchange_rates import read_all_exchange_rates
from pipelines.sources.orders import OrderRows, count_orders, orders_placed_in, read_orders
from pipelines.sources.reader import Reader
from pipelines.sources.stock import (
    count_movements,
    movements_made_in,
    read_all_levels,
    read_all_variants,
)
from pipelines.sources.tenants import Tenant, read_tenants
from pipelines.sources.usage import read_all_usage
from pipelines.transforms.categories import first_categories


class Planned(NamedTuple):
    """A tenant to be made anew, and the months in which it has orders and moved stock."""

    tenant: Tenant
    ordered: pl.DataFrame
    moved: pl.DataFrame


# Takes rows that were read to where they belong.
Put = Callable[[], None]


def rebuild_tenants(
    changeset: Changeset,
    reader: Reader,
    tenant_ids: list[str] | None,
    month_rows: int,
    without: Collection[str] = (),
) -> None:
    """Replace all rows of tenants, of every tenant (and of none other) when None.

    The rows of those `without` stay as they are, and of all tenants there are those that Postgres
    does not have: storefront events.
    """
    tenants = read_tenants(reader, tenant_ids)
    months = count_orders(reader, tenant_ids)
    moved_months = count_movements(reader, tenant_ids)
    before = set().union(*(rewrite.tenant_ids for rewrite in changeset.rewrites.values()))
    wanted = before | set(tenants) if tenant_ids is None else set(tenant_ids)
    all_ids = sorted(wanted - set(without))
    for tenant_id in all_ids:
        changeset.remove_tenant(tenant_id, keeps_others=tenant_id in tenants)
        changeset.tenant_ids.add(tenant_id)
    plan: list[Planned] = []
    for tenant in (tenants[tenant_id] for tenant_id in all_ids if tenant_id in tenants):
        of_tenant = months.filter(pl.col("tenant_id") == tenant.id)
        grain = best_grain(tenant.grain, of_tenant, month_rows)
        if grain != tenant.grain:
            changeset.grains[tenant.id] = grain
        moved = moved_months.filter(pl.col("tenant_id") == tenant.id)
        plan.append(Planned(Tenant(tenant.id, tenant.timezone, grain), of_tenant, moved))
    # closed also when a put fails: the reader is not to be in use by its thread any more
    with closing(_one_ahead(_reads(changeset, reader, plan))) as puts:
        for put in puts:
            put()


def best_grain(present: Grain, months: pl.DataFrame, month_rows: int) -> Grain:
    """Months for a tenant with a year of more than `month_rows` orders; a month stays a month."""
    by_year = months.group_by(pl.col("month").str.head(4)).agg(pl.col("orders").sum())
    is_large = by_year.filter(pl.col("orders") > month_rows).height > 0
    return "month" if is_large else present


def _reads(changeset: Changeset, reader: Reader, plan: list[Planned]) -> Generator[Put]:
    """Read part by part; each yields what puts it into the changeset."""
    for number, (tenant, ordered, moved) in enumerate(plan, start=1):
        changeset.context.on_step(f"rebuild tenant {number:,} of {len(plan):,}")
        anew = _TenantAnew(changeset, tenant)
        yield partial(anew.put_catalog, read_all_products(reader, tenant.id))
        for customers in read_all_customers(reader, tenant.id):
            yield partial(anew.put_customers, customers)
        yield partial(anew.put_exchange_rates, read_all_exchange_rates(reader, tenant.id))
        yield partial(anew.put_usage, read_all_usage(reader, tenant.id))
        yield partial(anew.put_variants, read_all_variants(reader, tenant.id))
        yield partial(anew.put_levels, read_all_levels(reader, tenant.id))
        for _, start, end in _spans(moved, tenant.grain):
            movements = movements_made_in(reader, tenant.id, start, end)
            yield partial(anew.put_movements, movements)
        for period, start, end in _spans(ordered, tenant.grain):
            rows = read_orders(reader, orders_placed_in(tenant.id, start, end))
            yield partial(anew.put_orders, period, rows)
        yield anew.put_rollup


def _one_ahead(reads: Generator[Put]) -> Generator[Put]:
    """The same, each read while the one before is being put."""
    # a read that is given up in the middle is closed when its thread has ended
    with closing(reads), ThreadPoolExecutor(1, thread_name_prefix="lake-read") as pool:
        coming = pool.submit(next, reads, None)
        while (put := coming.result()) is not None:
            coming = pool.submit(next, reads, None)
            yield put


class _TenantAnew:
    """A tenant's rows on their way into the changeset."""

    def __init__(self, changeset: Changeset, tenant: Tenant) -> None:
        self._changeset = changeset
        self._tenant = tenant
        self._categories = pl.DataFrame()
        self._rollup = empty(DAILY_SALES)

    def put_catalog(self, rows: CatalogRows) -> None:
        self._categories = first_categories(rows.product_categories, rows.categories).collect()
        self._add(DIM_PRODUCTS.name, export_dim_products(rows))

    def put_customers(self, customers: pl.LazyFrame) -> None:
        self._add(DIM_CUSTOMERS.name, export_dim_customers(customers))

    def put_exchange_rates(self, rates: pl.DataFrame) -> None:
        self._add(EXCHANGE_RATES.name, export_exchange_rates(rates))

    def put_usage(self, usage: pl.DataFrame) -> None:
        self._add(API_USAGE.name, export_api_usage(usage))

    def put_variants(self, variants: pl.DataFrame) -> None:
        self._add(DIM_VARIANTS.name, export_dim_variants(variants))

    def put_levels(self, levels: pl.DataFrame) -> None:
        self._add(STOCK_LEVELS.name, export_stock_levels(levels))

    def put_movements(self, movements: pl.DataFrame) -> None:
        self._add(INVENTORY_MOVEMENTS.name, export_inventory_movements(movements))

    def put_orders(self, period: str, rows: OrderRows) -> None:
        """The facts of a period; what they add to the rollup is kept."""
        facts = export_facts(rows, self._categories.lazy())
        for contract in FACTS:
            # all of them lie in the period of their order
            if facts[contract.name].height:
                self._changeset.of(contract).add(self._tenant.id, period, facts[contract.name])
        nothing = Facts(empty(ORDERS), empty(REFUNDS))
        added = Facts(facts[ORDERS.name], facts[REFUNDS.name])
        self._rollup = export_daily_sales(self._tenant.timezone, self._rollup, nothing, added)

    def put_rollup(self) -> None:
        self._add(DAILY_SALES.name, self._rollup)

    def _add(self, table: str, rows: pl.DataFrame) -> None:
        rewrite = self._changeset.rewrites[table]
        by_period = rows.with_columns(period_of(rewrite.contract, self._tenant.grain))
        for (period,), part in by_period.partition_by("period", as_dict=True).items():
            rewrite.add(self._tenant.id, str(period), part)


def _spans(months: pl.DataFrame, grain: Grain) -> Iterator[tuple[str, datetime, datetime]]:
    """Each period with rows: its name, its start and its end, which is not in it."""
    length = 4 if grain == "year" else 7
    for period in months["month"].str.head(length).unique().sort():
        if grain == "year":
            year = int(period)
            yield period, datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
        else:
            year, month = int(period[:4]), int(period[5:])
            start = datetime(year, month, 1, tzinfo=UTC)
            yield period, start, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
