"""Only what changed: from the events to the rows of the orders, products, customers they name.

Belongs here: mapping events to rows and replacing those. Does not: a tenant's whole history
(rebuild.py), which is also the way when most of it changed.

A line carries its product's category. When a product's category changes, the orders with its lines
are exported again, so that the lake is what a rebuild would make of the same state.
"""

from collections.abc import Mapping

import polars as pl

from analytics.contracts import (
    DAILY_SALES,
    DIM_CUSTOMERS,
    DIM_PRODUCTS,
    EXCHANGE_RATES,
    ORDERS,
    REFUNDS,
)
from pipelines.changeset import Changeset
from pipelines.exports.daily_sales import Facts, export_daily_sales
from pipelines.exports.dim_customers import export_dim_customers
from pipelines.exports.dim_products import export_dim_products
from pipelines.exports.exchange_rates import export_exchange_rates
from pipelines.exports.facts import FACTS, export_facts
from pipelines.frames import TEXT, period_of
from pipelines.rebuild import rebuild_tenants
from pipelines.sources.catalog import categorized_products, read_products
from pipelines.sources.customers import read_customers
from pipelines.sources.exchange_rates import read_exchange_rates
from pipelines.sources.orders import orders_by_id, orders_with_products, read_orders
from pipelines.sources.reader import Reader
from pipelines.sources.spine import MOVEMENT
from pipelines.sources.tenants import Tenant, read_tenants
from pipelines.stock import apply_stock
from pipelines.transforms.categories import first_categories
from pipelines.transforms.daily_sales import KEY
from pipelines.transforms.order_sums import ORDER, sums_by_order

# A tenant is rebuilt when at least this many of its orders changed, and a quarter of them.
REBUILD_ORDERS = 10_000
REBUILD_SHARE = 4


def apply_changes(
    changeset: Changeset, reader: Reader, changes: pl.DataFrame, month_rows: int
) -> None:
    """Bring the lake to the reader's instant. `changes`: (tenant_id, subject_type, subject_id)."""
    touched = changes["tenant_id"].unique().to_list()
    tenants = read_tenants(reader, touched)
    changeset.described |= set(changes.filter(pl.col("subject_type") == "tenant")["tenant_id"])
    anew = sorted(set(touched) & _to_rebuild(changeset, changes, tenants))
    if anew:
        rebuild_tenants(changeset, reader, anew, month_rows)
    rest = changes.filter(~pl.col("tenant_id").is_in(anew) & pl.col("subject_id").is_not_null())
    moved = _apply_products(changeset, reader, _product_keys(changeset, reader, rest))
    orders = pl.concat([_keys(rest, "order"), orders_with_products(reader, moved)]).unique()
    customers = _apply_orders(changeset, reader, orders, tenants)
    apply_stock(changeset, reader, _keys(rest, MOVEMENT), _keys(rest, "product"), tenants)
    _apply_customers(changeset, reader, pl.concat([_keys(rest, "customer"), customers]).unique())
    _apply_exchange_rates(changeset, reader, _keys(rest, "exchange_rate"))


def _keys(changes: pl.DataFrame, subject: str) -> pl.DataFrame:
    """(tenant_id, <subject>_id) of the changes of one subject type."""
    return changes.filter(pl.col("subject_type") == subject).select(
        "tenant_id", pl.col("subject_id").alias(f"{subject}_id")
    )


def _to_rebuild(
    changeset: Changeset, changes: pl.DataFrame, tenants: dict[str, Tenant]
) -> set[str]:
    """Tenants for which starting anew is needed, or cheaper: a batch that names no ids, another
    timezone, most orders changed, or no such tenant any more."""
    anew = set(changes.filter(pl.col("subject_id").is_null())["tenant_id"])
    anew |= set(changes["tenant_id"]) - set(tenants)
    for tenant_id, changed in _keys(changes, "order").group_by("tenant_id").len().rows():
        known = sum(file.rows for file in changeset.of(ORDERS).files(tenant_id))
        if changed >= REBUILD_ORDERS and changed * REBUILD_SHARE >= known:
            anew.add(tenant_id)
    rollups = changeset.of(DAILY_SALES)
    changed_tenants = changes.filter(pl.col("subject_type") == "tenant")["tenant_id"]
    for tenant_id in (set(changed_tenants) & set(tenants)) - anew:
        days = rollups.read(rollups.files(tenant_id)[:1])
        if days.height and days["timezone"][0] != tenants[tenant_id].timezone:
            anew.add(tenant_id)
    return anew


def _product_keys(changeset: Changeset, reader: Reader, changes: pl.DataFrame) -> pl.DataFrame:
    """Changed products; where a category changed, all products that are or were in any."""
    categories = changes.filter(pl.col("subject_type") == "category")
    products = _keys(changes, "product")
    if categories.is_empty():
        return products
    tenant_ids = categories["tenant_id"].unique().to_list()
    in_lake = changeset.of(DIM_PRODUCTS)
    before = in_lake.read(file for tenant_id in tenant_ids for file in in_lake.files(tenant_id))
    were_in = before.filter(pl.col("category_id").is_not_null()).select("tenant_id", "product_id")
    now_in = categorized_products(reader, tenant_ids)
    return pl.concat([products, now_in, were_in]).unique()


def _apply_products(changeset: Changeset, reader: Reader, keys: pl.DataFrame) -> pl.DataFrame:
    """Replace products; answers (tenant_id, product_id) of those now in another category."""
    if keys.is_empty():
        return keys
    rows = export_dim_products(read_products(reader, keys))
    old = changeset.replace(DIM_PRODUCTS, keys, rows)
    both = old.join(rows, on=["tenant_id", "product_id"], suffix="_new")
    is_moved = ~pl.col("category_id").eq_missing(pl.col("category_id_new"))
    return both.filter(is_moved).select("tenant_id", "product_id")


def _apply_orders(
    changeset: Changeset, reader: Reader, keys: pl.DataFrame, tenants: dict[str, Tenant]
) -> pl.DataFrame:
    """Replace orders and what hangs on them; answers (tenant_id, customer_id) of those of whom they
    tell something else."""
    if keys.is_empty():
        return pl.DataFrame(schema={"tenant_id": TEXT, "customer_id": TEXT})
    rows = read_orders(reader, orders_by_id(keys))
    products = rows.order_lines.select("tenant_id", "product_id").drop_nulls().unique().collect()
    catalog = read_products(reader, products)
    new = export_facts(rows, first_categories(catalog.product_categories, catalog.categories))
    grains = {tenant.id: tenant.grain for tenant in tenants.values()}
    old = {
        contract.name: changeset.replace(contract, keys, new[contract.name], grains)
        for contract in FACTS
    }
    touched = [tenants[tenant_id] for tenant_id in keys["tenant_id"].unique()]
    _apply_rollups(changeset, touched, old, new)
    return _customers_told_of(old, new)


def _customers_told_of(
    old: Mapping[str, pl.DataFrame], new: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """(tenant_id, customer_id) whose orders come, go, or count otherwise than they did.

    Customers are in no order of time: those of a thousand orders lie in all files of a million.
    """
    both = pl.concat([_told(side) for side in (old, new)])
    changed = both.filter(~both.is_duplicated())
    return changed.select("tenant_id", "customer_id").drop_nulls().unique()


def _told(facts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """What each order tells of its customer."""
    refunded = sums_by_order(
        facts[REFUNDS.name], pl.col("goods_amount").sum(), pl.col("refunded_at").max()
    )
    orders = facts[ORDERS.name].select(
        *ORDER,
        "customer_id",
        "placed_at",
        "cancelled_at",
        (pl.col("gross_sales") - pl.col("discounts")).alias("sold"),
    )
    # an old order may have lain in two files
    return orders.unique().join(refunded, on=ORDER, how="left")


def _apply_customers(changeset: Changeset, reader: Reader, keys: pl.DataFrame) -> None:
    if keys.is_empty():
        return
    rows = export_dim_customers(read_customers(reader, keys))
    changeset.replace(DIM_CUSTOMERS, keys, rows)


def _apply_exchange_rates(changeset: Changeset, reader: Reader, keys: pl.DataFrame) -> None:
    if keys.height:
        rows = export_exchange_rates(read_exchange_rates(reader, keys))
        changeset.replace(EXCHANGE_RATES, keys, rows)


def _apply_rollups(
    changeset: Changeset,
    tenants: list[Tenant],
    old: Mapping[str, pl.DataFrame],
    new: Mapping[str, pl.DataFrame],
) -> None:
    """Take out of the rollups what `old` rows added, put in what `new` rows add."""
    rewrite = changeset.of(DAILY_SALES)
    for timezone in {tenant.timezone for tenant in tenants}:
        ids = [tenant.id for tenant in tenants if tenant.timezone == timezone]
        files = [file for tenant_id in ids for file in rewrite.files(tenant_id)]
        before = rewrite.read(files)
        is_theirs = pl.col("tenant_id").is_in(ids)
        removed, added = (
            Facts(side[ORDERS.name].filter(is_theirs), side[REFUNDS.name].filter(is_theirs))
            for side in (old, new)
        )
        after = export_daily_sales(timezone, before, removed, added)
        was, is_now = _by_year(before), _by_year(after)
        for place in sorted(was.keys() | is_now.keys()):
            rows = is_now.get(place, before.clear())
            if rows.equals(was.get(place, before.clear())):
                continue
            tenant_id, year = place
            rewrite.remove(f for f in files if (f.tenant_id, f.period) == place)
            if rows.height:
                rewrite.add(tenant_id, year, rows)


def _by_year(rollup: pl.DataFrame) -> dict[tuple[str, str], pl.DataFrame]:
    """The rollup's rows in the order of their key, by tenant and year."""
    rows = rollup.sort(KEY).with_columns(period_of(DAILY_SALES, "year"))
    parts = rows.partition_by("tenant_id", "period", as_dict=True)
    return {(str(t), str(p)): part.drop("period") for (t, p), part in parts.items()}
