"""Counts and sums of Postgres, and the same of the lake's columns.

Belongs here: what verification compares. Does not: comparing (verification.py). The rollup's query
says in SQL what transforms/daily_sales.py says in frames, and shares nothing with it but where days
begin (day_edges.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from pipelines.frames import INTEGER, MONEY_SUM, RATE_SUM, TEXT
from pipelines.sources.day_edges import LOCAL_DAY, day_join
from pipelines.sources.sale_totals import DISCOUNTS, MONTH, TAXES, WITHOUT_TAX


@dataclass(frozen=True)
class Totals:
    """Figures of one table: `query` gives tenant_id, period and the measures in this order."""

    table: str
    query: str
    # what each measure is of the lake's rows
    measures: Mapping[str, pl.Expr]
    types: Mapping[str, pl.DataType]

    @property
    def key_types(self) -> dict[str, pl.DataType]:
        return {"tenant_id": TEXT, "period": TEXT}


def _totals(
    table: str,
    query: str,
    counts: Mapping[str, pl.Expr],
    sums: tuple[str, ...],
    *,
    has_rates: bool = False,
) -> Totals:
    """Measures are the named counts, the sums of money columns, and what `RATES` is."""
    amounts = {name: pl.col(name).sum() for name in sums}
    types = {**dict.fromkeys(counts, INTEGER), **dict.fromkeys(sums, MONEY_SUM)}
    rates: dict[str, pl.Expr] = {}
    if has_rates:
        rates = {
            "exchange_rates": pl.col("exchange_rate").sum(),
            "base_currencies": pl.col("base_currency").n_unique(),
        }
        types |= {"exchange_rates": RATE_SUM, "base_currencies": INTEGER}
    return Totals(table, query, {**counts, **amounts, **rates}, types)


ROWS = pl.len()
# An order's rate of exchange, of each row that it stands on.
RATES = "coalesce(sum(o.exchange_rate), 0), count(DISTINCT o.base_currency)"
COUNTS = (
    "orders",
    "cancelled_orders",
    "pending_orders",
    "processing_orders",
    "completed_orders",
    "units",
)

ORDERS = f"""
WITH {WITHOUT_TAX}
SELECT o.tenant_id, {MONTH}, count(*), count(cancelled_at),
       count(*) FILTER (WHERE status = 'completed'), count(DISTINCT customer_id),
       sum(units), sum(gross_sales), sum(discounts), sum(shipping),
       sum(tax_total), sum(total), sum(refunded_total), sum(cost_of_goods), sum(costed_sales),
       {RATES}
FROM sold o
GROUP BY 1, 2
"""
ORDER_LINES = f"""
WITH {WITHOUT_TAX}
SELECT o.tenant_id, {MONTH}, count(*), sum(o.quantity),
       count(o.product_id), count(c.product_id),
       sum(o.gross_sales), sum(o.gross_sales - o.net_sales), sum(o.tax_total), sum(o.total), {RATES}
FROM line o
LEFT JOIN (SELECT DISTINCT tenant_id, product_id FROM product_categories) AS c
    ON c.tenant_id = o.tenant_id AND c.product_id = o.product_id
GROUP BY 1, 2
"""
PAYMENTS = f"""
SELECT o.tenant_id, {MONTH}, count(*), count(*) FILTER (WHERE p.status = 'captured'), sum(p.amount),
       {RATES}
FROM payments p JOIN orders o ON o.tenant_id = p.tenant_id AND o.id = p.order_id GROUP BY 1, 2
"""
REFUNDS = f"""
SELECT o.tenant_id, {MONTH}, count(*), coalesce(sum(l.quantity), 0),
       sum(r.amount - r.tax_amount - r.shipping_amount), sum(r.tax_amount), sum(r.shipping_amount)
FROM refunds r JOIN orders o ON o.tenant_id = r.tenant_id AND o.id = r.order_id
LEFT JOIN (
    SELECT tenant_id, refund_id, sum(quantity) AS quantity FROM refund_lines GROUP BY 1, 2
) AS l ON l.tenant_id = r.tenant_id AND l.refund_id = r.id
WHERE r.amount <> 0 OR l.refund_id IS NOT NULL
GROUP BY 1, 2
"""
FULFILLMENTS = f"""
SELECT o.tenant_id, {MONTH}, count(*), count(DISTINCT f.id), sum(l.quantity), count(f.carrier)
FROM fulfillments f JOIN orders o ON o.tenant_id = f.tenant_id AND o.id = f.order_id
JOIN fulfillment_lines l ON l.tenant_id = f.tenant_id AND l.fulfillment_id = f.id
GROUP BY 1, 2
"""
INVENTORY_MOVEMENTS = """
SELECT tenant_id, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM'), count(*), count(order_id),
       sum(quantity_delta), sum(reserved_delta),
       coalesce(-sum(quantity_delta) FILTER (WHERE reason = 'sold'), 0)
FROM stock_movements GROUP BY 1, 2
"""
STOCK_LEVELS = """
SELECT tenant_id, location_id::text, count(*), sum(quantity), sum(reserved)
FROM stock_levels WHERE quantity <> 0 OR reserved <> 0 GROUP BY 1, 2
"""
DIM_VARIANTS = """
SELECT v.tenant_id, 'all', count(*), count(DISTINCT v.product_id),
       count(coalesce(v.cost_price, p.cost_price)),
       coalesce(sum(coalesce(v.cost_price, p.cost_price)), 0)
FROM variants v JOIN products p ON p.tenant_id = v.tenant_id AND p.id = v.product_id GROUP BY 1
"""
DIM_PRODUCTS = """
SELECT p.tenant_id, 'all', count(*), count(c.categories), coalesce(sum(c.categories), 0), sum(price)
FROM products p LEFT JOIN (
    SELECT tenant_id, product_id, count(*) AS categories FROM product_categories GROUP BY 1, 2
) AS c ON c.tenant_id = p.tenant_id AND c.product_id = p.id
GROUP BY 1
"""
DIM_CUSTOMERS = f"""
WITH {WITHOUT_TAX}, refund AS (
    SELECT tenant_id, order_id, max(created_at) AS refunded_at,
           sum(amount - tax_amount - shipping_amount) AS returns
    FROM refunds GROUP BY 1, 2
)
SELECT c.tenant_id, 'all', count(*), count(o.first_order_at), coalesce(sum(o.orders), 0),
       count(DISTINCT o.last_moved_at), coalesce(sum(o.net_sales), 0)
FROM customers c LEFT JOIN (
    SELECT s.tenant_id, customer_id,
           min(placed_at) FILTER (WHERE status <> 'cancelled') AS first_order_at,
           count(*) FILTER (WHERE status <> 'cancelled') AS orders,
           max(GREATEST(placed_at, cancelled_at, r.refunded_at)) AS last_moved_at,
           sum(s.gross_sales - s.discounts - coalesce(r.returns, 0))
               FILTER (WHERE status <> 'cancelled') AS net_sales
    FROM sold s LEFT JOIN refund r ON r.tenant_id = s.tenant_id AND r.order_id = s.id
    GROUP BY 1, 2
) AS o ON o.tenant_id = c.tenant_id AND o.customer_id = c.id
GROUP BY 1
"""
# One entry per thing that happened to an order, times the factor with which it counts.
DAILY_SALES = f"""
WITH {LOCAL_DAY}, {WITHOUT_TAX}, sale AS MATERIALIZED (
    SELECT o.tenant_id, o.id, o.currency, o.channel, o.status, o.cancelled_at, t.timezone,
           (o.status = 'cancelled')::int AS gone, (o.status <> 'cancelled')::int AS kept,
           placed.day AS placed_day, cancelled.day AS cancelled_day,
           o.units, o.gross_sales, o.discounts, o.shipping, o.tax_total, o.cost_of_goods,
           o.costed_sales
    FROM sold o JOIN tenants t ON t.id = o.tenant_id
    {day_join("placed", "o.placed_at", "t.timezone")}
    {day_join("cancelled", "o.cancelled_at", "t.timezone")}
), refund AS (
    SELECT s.tenant_id, s.placed_day, s.cancelled_day, s.currency, s.channel, s.kept,
           refunded.day AS refunded_day,
           r.amount - r.tax_amount - r.shipping_amount AS goods, r.tax_amount, r.shipping_amount,
           coalesce(r.created_at < s.cancelled_at, false) AS is_before_cancelling,
           (SELECT coalesce(sum(x.amount), 0) FROM refund_lines x
            JOIN order_lines l ON l.tenant_id = x.tenant_id AND l.id = x.order_line_id
            WHERE x.tenant_id = r.tenant_id AND x.refund_id = r.id AND l.unit_cost IS NOT NULL
           ) AS costed_goods
    FROM refunds r JOIN sale s ON s.tenant_id = r.tenant_id AND s.id = r.order_id
    {day_join("refunded", "r.created_at", "s.timezone")}
), entry (tenant_id, basis, day, currency, channel, factor, is_order, gone, open_status, units,
          gross_sales, discounts, returns, shipping, taxes, cost_of_goods, costed_sales) AS (
    SELECT tenant_id, 'order_date', placed_day, currency, channel, kept, 1, gone,
           CASE kept WHEN 1 THEN status END, units, gross_sales, discounts, 0, shipping,
           tax_total, cost_of_goods, costed_sales FROM sale
    UNION ALL
    SELECT tenant_id, 'event_date', placed_day, currency, channel, 1, 1, 0,
           CASE kept WHEN 1 THEN status END, units, gross_sales, discounts, 0, shipping,
           tax_total, cost_of_goods, costed_sales FROM sale
    UNION ALL
    SELECT tenant_id, 'event_date', cancelled_day, currency, channel, -1, 1, 1, NULL, units,
           gross_sales, discounts, 0, shipping, tax_total, cost_of_goods, costed_sales
    FROM sale WHERE gone = 1
    UNION ALL
    SELECT tenant_id, 'order_date', placed_day, currency, channel, 1, 0, 0, NULL, 0, 0, 0, goods,
           -shipping_amount, -tax_amount, 0, -costed_goods FROM refund WHERE kept = 1
    UNION ALL
    SELECT tenant_id, 'event_date', refunded_day, currency, channel, 1, 0, 0, NULL, 0, 0, 0, goods,
           -shipping_amount, -tax_amount, 0, -costed_goods FROM refund
    WHERE kept = 1 OR is_before_cancelling
    UNION ALL
    SELECT tenant_id, 'event_date', cancelled_day, currency, channel, -1, 0, 0, NULL, 0, 0, 0,
           goods, -shipping_amount, -tax_amount, 0, -costed_goods FROM refund
    WHERE kept = 0 AND is_before_cancelling
), day AS (
    SELECT tenant_id,
           concat_ws(' ', to_char(day, 'YYYY-MM-DD'), basis, currency, channel) AS period,
           sum(factor * is_order) AS orders, sum(gone) AS cancelled_orders,
           count(*) FILTER (WHERE open_status = 'pending') AS pending_orders,
           count(*) FILTER (WHERE open_status = 'processing') AS processing_orders,
           count(*) FILTER (WHERE open_status = 'completed') AS completed_orders,
           sum(factor * units) AS units, sum(factor * gross_sales) AS gross_sales,
           sum(factor * discounts) AS discounts, sum(factor * returns) AS returns,
           sum(factor * shipping) AS shipping, sum(factor * taxes) AS taxes,
           sum(factor * cost_of_goods) AS cost_of_goods, sum(factor * costed_sales) AS costed_sales
    FROM entry GROUP BY 1, 2
)
SELECT * FROM day
WHERE num_nonnulls(nullif(orders, 0), nullif(cancelled_orders, 0), nullif(units, 0),
                   nullif(gross_sales, 0), nullif(discounts, 0), nullif(returns, 0),
                   nullif(shipping, 0), nullif(taxes, 0),
                   nullif(cost_of_goods, 0), nullif(costed_sales, 0),
                   nullif(pending_orders + processing_orders + completed_orders, 0)) > 0
"""

EXCHANGE_RATES = """
SELECT tenant_id, currency, count(*), count(DISTINCT effective_at), sum(rate)
FROM exchange_rates GROUP BY 1, 2
"""

TOTALS = (
    _totals(
        "orders",
        ORDERS,
        {
            "rows": ROWS,
            "cancelled": pl.col("cancelled_at").count(),
            "completed": (pl.col("status") == "completed").sum(),
            "customers": pl.col("customer_id").drop_nulls().n_unique(),
            "units": pl.col("units").sum(),
        },
        (
            "gross_sales",
            "discounts",
            "shipping",
            "taxes",
            "total",
            "refunded_total",
            "cost_of_goods",
            "costed_sales",
        ),
        has_rates=True,
    ),
    _totals(
        "order_lines",
        ORDER_LINES,
        {
            "rows": ROWS,
            "quantity": pl.col("quantity").sum(),
            "with_product": pl.col("product_id").count(),
            "with_category": pl.col("category_id").count(),
        },
        ("gross_sales", "discounts", "taxes", "total"),
        has_rates=True,
    ),
    _totals(
        "payments",
        PAYMENTS,
        {"rows": ROWS, "captured": (pl.col("status") == "captured").sum()},
        ("amount",),
        has_rates=True,
    ),
    _totals(
        "refunds",
        REFUNDS,
        {"refunds": pl.col("refund_id").n_unique(), "quantity": pl.col("quantity").sum()},
        ("goods_amount", "tax_amount", "shipping_amount"),
    ),
    _totals(
        "fulfillments",
        FULFILLMENTS,
        {
            "rows": ROWS,
            "fulfillments": pl.col("fulfillment_id").n_unique(),
            "quantity": pl.col("quantity").sum(),
            "carriers": pl.col("carrier").count(),
        },
        (),
    ),
    _totals(
        "discounts",
        DISCOUNTS,
        {
            "discounts": pl.col("order_discount_id").drop_nulls().n_unique(),
            "codes": pl.col("code").drop_nulls().n_unique(),
        },
        ("amount", "shipping_amount"),
    ),
    _totals(
        "taxes",
        TAXES,
        {"lines": pl.col("line_id").count()},
        ("amount", "taxable_amount"),
    ),
    _totals(
        "daily_sales",
        DAILY_SALES,
        {name: pl.col(name).sum() for name in COUNTS},
        (
            "gross_sales",
            "discounts",
            "returns",
            "shipping",
            "taxes",
            "cost_of_goods",
            "costed_sales",
        ),
    ),
    _totals(
        "inventory_movements",
        INVENTORY_MOVEMENTS,
        {
            "rows": ROWS,
            "for_orders": pl.col("order_id").count(),
            "quantity": pl.col("quantity_delta").sum(),
            "reserved": pl.col("reserved_delta").sum(),
            "sold": -pl.col("quantity_delta").filter(pl.col("reason") == "sold").sum(),
        },
        (),
    ),
    _totals(
        "stock_levels",
        STOCK_LEVELS,
        {
            "rows": ROWS,
            "quantity": pl.col("quantity").sum(),
            "reserved": pl.col("reserved").sum(),
        },
        (),
    ),
    _totals(
        "dim_variants",
        DIM_VARIANTS,
        {
            "rows": ROWS,
            "products": pl.col("product_id").n_unique(),
            "costed": pl.col("cost").count(),
        },
        ("cost",),
    ),
    _totals(
        "dim_products",
        DIM_PRODUCTS,
        {
            "rows": ROWS,
            "categorized": pl.col("category_id").count(),
            "categories": pl.col("categories").list.len().sum(),
        },
        ("price",),
    ),
    _totals(
        "dim_customers",
        DIM_CUSTOMERS,
        {
            "rows": ROWS,
            "buyers": pl.col("first_order_at").count(),
            "orders": pl.col("orders").sum(),
            "last_moves": pl.col("last_moved_at").drop_nulls().n_unique(),
        },
        ("net_sales",),
    ),
    Totals(
        "exchange_rates",
        EXCHANGE_RATES,
        {
            "rows": ROWS,
            "instants": pl.col("effective_at").n_unique(),
            "rates": pl.col("rate").sum(),
        },
        {"rows": INTEGER, "instants": INTEGER, "rates": RATE_SUM},
    ),
)
