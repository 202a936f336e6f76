-- Customers of the orders placed in the period that are not cancelled, under either basis. Orders of
-- guests are one row without customer.
-- Grain of the answer: one row.
WITH ordered AS (
    SELECT customer_id, max(placed_at) AS last_order_at, count(*) AS orders
    FROM orders
    WHERE currency = $currency
        AND ($channel IS NULL OR channel = $channel)
        AND placed_at >= $start_at AND placed_at < $end_at
        AND cancelled_at IS NULL
    GROUP BY customer_id
),
period_customers AS (
    SELECT
        ordered.customer_id,
        ordered.orders,
        ordered.last_order_at,
        c.first_order_at,
        c.first_order_at >= $start_at AS is_new
    FROM ordered
    LEFT JOIN dim_customers AS c ON c.customer_id = ordered.customer_id
)
SELECT
    {metrics}
FROM period_customers
