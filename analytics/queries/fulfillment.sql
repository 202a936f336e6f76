-- Orders placed in the period that are not cancelled, by how far they are delivered.
-- Grain of the answer: fulfillment_status.
SELECT fulfillment_status, count(*) AS orders
FROM orders
WHERE currency = $currency
    AND ($channel IS NULL OR channel = $channel)
    AND placed_at >= $start_at AND placed_at < $end_at
    AND cancelled_at IS NULL
GROUP BY fulfillment_status
