-- Captured payments by method.
-- order_date: payments of orders not cancelled, when the order was placed.
-- event_date: when the payment was made, reversed when its order was cancelled; those made after the
--             cancelling are left out, so that both bases have the same sum over all days.
-- Grain of the answer: method.
WITH movements AS (
    SELECT
        method,
        CASE WHEN $basis = 'event_date' THEN created_at ELSE placed_at END AS moved_at,
        amount,
        1 AS payments
    FROM payments
    WHERE status = 'captured'
        AND currency = $currency
        AND ($channel IS NULL OR channel = $channel)
        AND (cancelled_at IS NULL OR ($basis = 'event_date' AND created_at < cancelled_at))
    UNION ALL
    SELECT method, cancelled_at AS moved_at, -amount AS amount, -1 AS payments
    FROM payments
    WHERE $basis = 'event_date'
        AND status = 'captured'
        AND currency = $currency
        AND ($channel IS NULL OR channel = $channel)
        AND created_at < cancelled_at
)
SELECT method, sum(amount) AS amount, sum(payments) AS payments
FROM movements
WHERE moved_at >= $start_at AND moved_at < $end_at
GROUP BY method
