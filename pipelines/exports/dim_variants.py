"""dim_variants: source → check.

Belongs here: that path for one table. Does not: which rows (stock.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import DIM_VARIANTS
from pipelines.checks.shape import check_shape


def export_dim_variants(variants: pl.DataFrame) -> pl.DataFrame:
    """A selection of variants as they are now."""
    rows = variants.select("tenant_id", *DIM_VARIANTS.column_names)
    check_shape(DIM_VARIANTS, rows)
    return rows
