"""Stock into the lake by what changed: rows of the ledger, variants, and what lies where of them.

Belongs here: which variants' levels are read anew, and replacing their rows. Does not: orders,
products, customers (incremental.py), a tenant's whole ledger (rebuild.py).

A row of the ledger is written once and never changes. Its key begins with its instant, so new rows
join the last file; one that is there already is put in its own place.
"""

import polars as pl

from analytics.contracts import DIM_VARIANTS, INVENTORY_MOVEMENTS, STOCK_LEVELS
from pipelines.changeset import Changeset
from pipelines.exports.dim_variants import export_dim_variants
from pipelines.exports.inventory_movements import export_inventory_movements
from pipelines.exports.stock_levels import export_stock_levels
from pipelines.frames import TEXT
from pipelines.sources.reader import Reader
from pipelines.sources.stock import read_levels, read_movements, read_variants
from pipelines.sources.tenants import Tenant

VARIANT = ["tenant_id", "variant_id"]


def apply_stock(
    changeset: Changeset,
    reader: Reader,
    movement_keys: pl.DataFrame,
    product_keys: pl.DataFrame,
    tenants: dict[str, Tenant],
) -> None:
    """Add rows of the ledger, replace the variants of products, and the levels of all of either.

    `movement_keys`: (tenant_id, stock_movement_id); `product_keys`: (tenant_id, product_id).
    """
    grains = {tenant.id: tenant.grain for tenant in tenants.values()}
    touched = [pl.DataFrame(schema=dict.fromkeys(VARIANT, TEXT))]
    if product_keys.height:
        variants = export_dim_variants(read_variants(reader, product_keys))
        gone = changeset.replace(DIM_VARIANTS, product_keys, variants)
        touched += [variants.select(VARIANT), gone.select(VARIANT)]
    if movement_keys.height:
        movements = export_inventory_movements(read_movements(reader, movement_keys))
        changeset.replace(INVENTORY_MOVEMENTS, movements, movements, grains)
        touched.append(movements.select(VARIANT))
    keys = pl.concat(touched).unique()
    if keys.height:
        levels = export_stock_levels(read_levels(reader, keys))
        changeset.replace(STOCK_LEVELS, keys, levels)
