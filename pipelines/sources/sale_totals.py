"""What orders and their lines come to without tax, by discount and by tax, in SQL.

Belongs here: the figures of Postgres that sources/orders.py and transforms say another way. Does
not: what they are compared with (totals.py).
"""

MONTH = "to_char(o.placed_at, 'YYYY-MM')"

# Lines and orders without the tax that was in their prices.
WITHOUT_TAX = """
line AS (
    SELECT l.*, o.placed_at, o.exchange_rate, o.base_currency, CASE WHEN l.tax_included
        THEN l.subtotal - round((l.subtotal * l.tax_rate_ratio)::numeric(38, 20)
                                / (1 + l.tax_rate_ratio), currency_digits(o.currency))
        ELSE l.subtotal END AS gross_sales,
        l.total - l.tax_total AS net_sales
    FROM order_lines l JOIN orders o ON o.tenant_id = l.tenant_id AND o.id = l.order_id
), sold AS (
    SELECT o.*, coalesce(l.units, 0) AS units, coalesce(l.cost_of_goods, 0) AS cost_of_goods,
           coalesce(l.costed_sales, 0) AS costed_sales,
           CASE WHEN o.tax_included THEN l.gross_sales ELSE o.subtotal END AS gross_sales,
           CASE WHEN o.tax_included THEN l.gross_sales - l.net_sales ELSE o.discount_total
           END AS discounts,
           o.shipping_total - CASE WHEN o.tax_included THEN o.shipping_tax_total ELSE 0 END
           AS shipping
    FROM orders o LEFT JOIN (
        SELECT tenant_id, order_id, sum(quantity) AS units, sum(gross_sales) AS gross_sales,
               sum(net_sales) AS net_sales,
               coalesce(sum(unit_cost * quantity), 0) AS cost_of_goods,
               coalesce(sum(net_sales) FILTER (WHERE unit_cost IS NOT NULL), 0) AS costed_sales
        FROM line GROUP BY 1, 2
    ) AS l ON l.tenant_id = o.tenant_id AND l.order_id = o.id
)
"""
DISCOUNTS = f"""
WITH {WITHOUT_TAX}
SELECT tenant_id, period, count(DISTINCT id), count(DISTINCT code), sum(amount),
       sum(shipping_amount)
FROM (
    SELECT tenant_id, to_char(placed_at, 'YYYY-MM') AS period, NULL::uuid AS id, NULL AS code,
           gross_sales - net_sales AS amount, 0 AS shipping_amount
    FROM line WHERE gross_sales <> net_sales
    UNION ALL
    SELECT o.tenant_id, {MONTH}, d.id, d.code, 0, d.shipping_amount
    FROM order_discounts d JOIN orders o ON o.tenant_id = d.tenant_id AND o.id = d.order_id
) t GROUP BY 1, 2
"""
TAXES = f"""
WITH {WITHOUT_TAX}
SELECT tenant_id, period, count(*) FILTER (WHERE kind = 'line'), sum(amount), sum(taxable_amount)
FROM (
    SELECT tenant_id, to_char(placed_at, 'YYYY-MM') AS period, 'line' AS kind, tax_total AS amount,
           net_sales AS taxable_amount
    FROM line WHERE tax_total <> 0 OR tax_rate_ratio <> 0
    UNION ALL
    SELECT o.tenant_id, {MONTH}, 'shipping', shipping_tax_total, shipping FROM sold o
    WHERE shipping_tax_total <> 0
    UNION ALL
    SELECT o.tenant_id, {MONTH}, 'other',
           o.tax_total - o.shipping_tax_total - coalesce(sum(l.tax_total), 0), 0
    FROM orders o LEFT JOIN order_lines l ON l.tenant_id = o.tenant_id AND l.order_id = o.id
    GROUP BY o.tenant_id, o.id, o.placed_at, o.tax_total, o.shipping_tax_total
    HAVING o.tax_total - o.shipping_tax_total <> coalesce(sum(l.tax_total), 0)
) t GROUP BY 1, 2
"""
