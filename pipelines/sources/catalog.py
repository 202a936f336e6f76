"""Products and the categories they are in.

Belongs here: reading the catalogue. Does not: which category of a product counts (transforms).
"""

from dataclasses import dataclass

import polars as pl

from pipelines.frames import INSTANT, MONEY, TEXT
from pipelines.sources.reader import Reader

KEYS = "unnest(%(tenant_ids)s::uuid[], %(product_ids)s::uuid[]) AS k (tenant_id, product_id)"

PRODUCTS = """
SELECT p.tenant_id, p.id, name, sku, status, price, cost_price, currency, created_at
FROM {products}
"""
PRODUCT_COLUMNS = {
    "tenant_id": TEXT,
    "product_id": TEXT,
    "name": TEXT,
    "sku": TEXT,
    "status": TEXT,
    "price": MONEY,
    "cost_price": MONEY,
    "currency": TEXT,
    "created_at": INSTANT,
}

# A category's path names its ancestors from the root on; a tree whose parents go in a circle ends.
CATEGORIES = """
WITH RECURSIVE tree AS (
    SELECT tenant_id, id, name, name AS path FROM categories
    WHERE tenant_id = ANY(%(tenants)s::uuid[]) AND parent_id IS NULL
    UNION ALL
    SELECT c.tenant_id, c.id, c.name, tree.path || ' / ' || c.name
    FROM tree JOIN categories c ON c.tenant_id = tree.tenant_id AND c.parent_id = tree.id
)
SELECT tenant_id, id, name, path FROM tree
"""
CATEGORY_COLUMNS = {"tenant_id": TEXT, "category_id": TEXT, "category_name": TEXT, "path": TEXT}

PRODUCT_CATEGORY_COLUMNS = {"tenant_id": TEXT, "product_id": TEXT, "category_id": TEXT}


@dataclass(frozen=True)
class CatalogRows:
    """Some products, their categories, and the category trees of their tenants."""

    products: pl.LazyFrame
    product_categories: pl.LazyFrame
    categories: pl.LazyFrame


def read_products(reader: Reader, keys: pl.DataFrame) -> CatalogRows:
    """The products of `keys` (tenant_id, product_id)."""
    parameters = {
        "tenant_ids": keys["tenant_id"].to_list(),
        "product_ids": keys["product_id"].to_list(),
        "tenants": keys["tenant_id"].unique().to_list(),
    }
    return _read(
        reader,
        f"{KEYS} JOIN products p ON p.tenant_id = k.tenant_id AND p.id = k.product_id",
        f"SELECT c.tenant_id, c.product_id, c.category_id FROM {KEYS} JOIN product_categories c"
        " ON c.tenant_id = k.tenant_id AND c.product_id = k.product_id",
        parameters,
    )


def read_all_products(reader: Reader, tenant_id: str) -> CatalogRows:
    """All products of a tenant."""
    return _read(
        reader,
        "products p WHERE p.tenant_id = ANY(%(tenants)s::uuid[])",
        "SELECT tenant_id, product_id, category_id FROM product_categories"
        " WHERE tenant_id = ANY(%(tenants)s::uuid[])",
        {"tenants": [tenant_id]},
    )


def _read(
    reader: Reader, products: str, product_categories: str, parameters: dict[str, list[str]]
) -> CatalogRows:
    return CatalogRows(
        reader.frame(PRODUCTS.format(products=products), PRODUCT_COLUMNS, parameters).lazy(),
        reader.frame(product_categories, PRODUCT_CATEGORY_COLUMNS, parameters).lazy(),
        reader.frame(CATEGORIES, CATEGORY_COLUMNS, parameters).lazy(),
    )


def categorized_products(reader: Reader, tenant_ids: list[str]) -> pl.DataFrame:
    """(tenant_id, product_id) of all products in any category, of some tenants."""
    return reader.frame(
        "SELECT DISTINCT tenant_id, product_id FROM product_categories"
        " WHERE tenant_id = ANY(%(tenants)s::uuid[])",
        {"tenant_id": TEXT, "product_id": TEXT},
        {"tenants": tenant_ids},
    )
