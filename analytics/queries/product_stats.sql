-- What each product has sold in all its time, by currency.
-- A cancelled order counts for nothing, and so do its refunds: as order_date counts in daily_sales.
-- Cost is known per line. What came back from a buyer is no longer sold and costs nothing.
-- Grain of the answer: product × currency.
WITH returned AS (
    SELECT line_id, sum(quantity) AS quantity, sum(goods_amount) AS returns
    FROM refunds
    WHERE line_id IS NOT NULL AND cancelled_at IS NULL
    GROUP BY line_id
),
lines AS (
    SELECT
        order_lines.product_id,
        order_lines.currency,
        order_lines.gross_sales,
        order_lines.discounts,
        coalesce(returned.returns, 0) AS returns,
        order_lines.unit_cost,
        order_lines.quantity - coalesce(returned.quantity, 0) AS kept
    FROM order_lines
    LEFT JOIN returned ON returned.line_id = order_lines.line_id
    WHERE order_lines.product_id IS NOT NULL AND order_lines.cancelled_at IS NULL
)
SELECT
    product_id,
    currency,
    {metrics},
    sum(CASE WHEN unit_cost IS NOT NULL THEN gross_sales - discounts - returns ELSE 0 END)
        AS costed_sales,
    sum(unit_cost * kept) AS cost
FROM lines
GROUP BY product_id, currency
