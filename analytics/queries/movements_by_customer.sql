-- The orders that make customers count: those not cancelled, each when it was placed, under either
-- basis. Orders of guests name no customer.
-- Grain of the answer: order.
SELECT
    'customer' AS kind, orders.placed_at AS moved_at, orders.order_id,
    orders.number AS order_number, orders.customer_id, orders.channel, orders.country, orders.region,
    orders.fulfillment_status,
    CAST(floor(epoch(c.first_order_at)) AS BIGINT) AS first_second, c.first_order_at
FROM orders
LEFT JOIN dim_customers AS c ON c.customer_id = orders.customer_id
WHERE orders.currency = $currency
    AND ($channel IS NULL OR orders.channel = $channel)
    AND orders.cancelled_at IS NULL
