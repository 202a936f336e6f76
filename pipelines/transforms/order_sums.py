"""Sums by order of what hangs on orders.

Belongs here: adding up rows of lines and taxes by their order. Does not: what the sums must be
(checks) and what they become (orders.py).
"""

import polars as pl

from pipelines.frames import MONEY, MONEY_SUM

ORDER = ["tenant_id", "order_id"]
# of a quantity that multiplies an amount: no digits after the point
UNITS = pl.Decimal(18, 0)


def sums_by_order(rows: pl.DataFrame, *sums: pl.Expr) -> pl.DataFrame:
    """(tenant_id, order_id, <sums>) of the orders that have rows."""
    if rows["tenant_id"].n_unique() > 1:
        return rows.group_by(ORDER).agg(sums)
    # rows of one tenant come nearly in order: runs are found in a quarter of the time of hashing
    run = pl.col("order_id").rle_id().set_sorted().alias("run")
    return (
        rows.sort("order_id")
        .with_columns(run)
        .group_by("run", maintain_order=True)
        .agg(pl.col(ORDER).first(), *sums)
        .drop("run")
    )


def line_sums(order_lines: pl.DataFrame) -> pl.DataFrame:
    """What the lines of each order come to."""
    cost = (pl.col("unit_cost") * pl.col("quantity").cast(UNITS)).cast(MONEY_SUM)
    costed = pl.when(pl.col("unit_cost").is_not_null()).then(
        pl.col("gross_sales") - pl.col("discounts")
    )
    return sums_by_order(
        order_lines,
        pl.col("quantity").sum().alias("units"),
        cost.sum().alias("cost_of_goods"),
        costed.sum().cast(MONEY).alias("costed_sales"),
        pl.col("gross_sales").sum().cast(MONEY).alias("lines_gross_sales"),
        pl.col("discounts").sum().cast(MONEY).alias("lines_discounts"),
        pl.col("taxes").sum().cast(MONEY).alias("lines_taxes"),
    )
