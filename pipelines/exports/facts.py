"""The fact tables of a selection of orders, which change together.

Belongs here: running their exports in order. Does not: any one of them (its own file).
"""

from collections.abc import Mapping

import polars as pl

from analytics.contracts import (
    DISCOUNTS,
    FULFILLMENTS,
    ORDER_LINES,
    ORDERS,
    PAYMENTS,
    REFUNDS,
    TAXES,
)
from pipelines.exports.discounts import export_discounts
from pipelines.exports.fulfillments import export_fulfillments
from pipelines.exports.order_lines import export_order_lines
from pipelines.exports.orders import export_orders
from pipelines.exports.payments import export_payments
from pipelines.exports.refunds import export_refunds
from pipelines.exports.taxes import export_taxes
from pipelines.sources.orders import OrderRows
from pipelines.transforms.order_sums import line_sums

FACTS = (ORDERS, ORDER_LINES, PAYMENTS, REFUNDS, FULFILLMENTS, DISCOUNTS, TAXES)


def export_facts(rows: OrderRows, first_categories: pl.LazyFrame) -> Mapping[str, pl.DataFrame]:
    """Rows by table, with tenant_id; every table is there, maybe empty."""
    order_lines = export_order_lines(rows, first_categories)
    orders = export_orders(rows, line_sums(order_lines))
    return {
        ORDERS.name: orders.select("tenant_id", *ORDERS.column_names),
        ORDER_LINES.name: order_lines.select("tenant_id", *ORDER_LINES.column_names),
        PAYMENTS.name: export_payments(rows),
        REFUNDS.name: export_refunds(rows, orders),
        FULFILLMENTS.name: export_fulfillments(rows, order_lines),
        DISCOUNTS.name: export_discounts(rows, order_lines),
        TAXES.name: export_taxes(order_lines, orders),
    }
