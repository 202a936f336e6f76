-- The segment that the customer of each order is in at $end_at, by the ranks of customer_values.
-- Grain of the answer: order_id; orders of guests, and of who has no order by then, are not in it.
WITH customer_values AS (
    {query customer_values}
)
SELECT orders.order_id, customer_values.segment AS customer_segment
FROM orders
JOIN customer_values ON customer_values.customer_id = orders.customer_id
