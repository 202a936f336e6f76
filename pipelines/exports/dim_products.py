"""dim_products: source → transform → check.

Belongs here: that path for one table. Does not: which products (incremental.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import DIM_PRODUCTS
from pipelines.checks.shape import check_shape
from pipelines.sources.catalog import CatalogRows
from pipelines.transforms.categories import first_categories
from pipelines.transforms.dim_products import product_rows


def export_dim_products(rows: CatalogRows) -> pl.DataFrame:
    """Products as they are now."""
    categories = first_categories(rows.product_categories, rows.categories)
    dimension = (
        product_rows(rows.products, categories)
        .select("tenant_id", *DIM_PRODUCTS.column_names)
        .collect()
    )
    check_shape(DIM_PRODUCTS, dimension)
    return dimension
