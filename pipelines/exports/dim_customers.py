"""dim_customers: source → check.

Belongs here: that path for one table. Does not: which customers (incremental.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import DIM_CUSTOMERS
from pipelines.checks.shape import check_shape


def export_dim_customers(customers: pl.LazyFrame) -> pl.DataFrame:
    """Customers without personal data."""
    dimension = customers.select("tenant_id", *DIM_CUSTOMERS.column_names).collect()
    check_shape(DIM_CUSTOMERS, dimension)
    return dimension
