"""That stock is counted in range.

Belongs here: rules about units that lie, move and leave. Does not: comparing with Postgres
(verification.py).
"""

import polars as pl

from pipelines.checks.failure import refuse


def check_movements(movements: pl.DataFrame) -> None:
    """What is sold leaves the shelf, what is returned comes back to it."""
    shown = ["tenant_id", "movement_key", "reason", "quantity_delta", "reserved_delta"]
    refuse(
        "inventory_movements",
        "what is sold leaves, what is returned comes",
        movements.filter(
            ((pl.col("reason") == "sold") & (pl.col("quantity_delta") > 0))
            | ((pl.col("reason") == "returned") & (pl.col("quantity_delta") < 0))
        ).select(shown),
    )


def check_levels(levels: pl.DataFrame) -> None:
    """No less than nothing is reserved."""
    refuse(
        "stock_levels",
        "reserved >= 0",
        levels.filter(pl.col("reserved") < 0).select("tenant_id", "variant_id", "reserved"),
    )


def check_fulfillments(fulfillments: pl.DataFrame, order_lines: pl.DataFrame) -> None:
    """What left is something, and no more of a line than was ordered."""
    refuse(
        "fulfillments",
        "quantity > 0",
        fulfillments.filter(pl.col("quantity") <= 0).select("tenant_id", "line_id", "quantity"),
    )
    line = ["tenant_id", "line_id"]
    left = fulfillments.group_by(line).agg(pl.col("quantity").sum().alias("fulfilled"))
    ordered = order_lines.select(*line, "quantity")
    refuse(
        "fulfillments",
        "no more of a line than was ordered",
        left.join(ordered, on=line).filter(pl.col("fulfilled") > pl.col("quantity")),
    )
