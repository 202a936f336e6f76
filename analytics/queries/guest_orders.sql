-- Orders of guests placed in the period that are not cancelled, under either basis: what customers.sql
-- tells of them. Grain of the answer: one row.
SELECT count(*) AS guest_orders
FROM orders
WHERE customer_id IS NULL
    AND currency = $currency
    AND ($channel IS NULL OR channel = $channel)
    AND placed_at >= $start_at AND placed_at < $end_at
    AND cancelled_at IS NULL
