-- Whether orders are the first ever of their customer, in any channel and currency, by the instant
-- they were placed; one that was cancelled is where none that was not came before it.
-- Grain of the answer: order_id; orders of guests are not in it.
SELECT
    orders.order_id,
    CASE WHEN c.first_order_at < orders.placed_at THEN 'returning' ELSE 'new' END AS customer_type
FROM orders
LEFT JOIN dim_customers AS c ON c.customer_id = orders.customer_id
WHERE orders.customer_id IS NOT NULL
