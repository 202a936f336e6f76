"""order_lines: source → transform → check.

Belongs here: that path for one table. Does not: which orders (incremental.py, rebuild.py).
"""

import polars as pl

from analytics.contracts import ORDER_LINES
from pipelines.checks.amounts import check_order_lines
from pipelines.checks.shape import check_shape
from pipelines.sources.orders import OrderRows
from pipelines.transforms.order_lines import order_line_facts
from pipelines.transforms.taxes import OF_LINE


def export_order_lines(rows: OrderRows, first_categories: pl.LazyFrame) -> pl.DataFrame:
    """The lines of a selection of orders, with what taxes take from them beside the contract."""
    facts = (
        order_line_facts(rows.order_lines, rows.orders, first_categories)
        .select({"tenant_id", *ORDER_LINES.column_names, *OF_LINE})
        .sort(ORDER_LINES.file_key)
        .collect()
    )
    check_shape(ORDER_LINES, facts)
    check_order_lines(facts)
    return facts
