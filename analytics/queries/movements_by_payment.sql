-- Captured payments, and when each counts:
--   order_date: payments of orders not cancelled, when the order was placed.
--   event_date: when the payment was made, reversed when its order was cancelled; those made after
--               the cancelling are left out, so that both bases have the same sum over all days.
-- What a payment's order is of is looked up only for questions that ask ($needs_orders).
-- Grain of the answer: kind × payment.
WITH captured AS (
    SELECT
        payments.*,
        CASE WHEN method LIKE ':%' THEN ':' || method ELSE method END AS payment_method,
        of_order.number, of_order.country, of_order.region, of_order.customer_id,
        of_order.fulfillment_status
    FROM payments
    LEFT JOIN (
        SELECT order_id, number, country, region, customer_id, fulfillment_status
        FROM orders
        WHERE $needs_orders
    ) AS of_order ON of_order.order_id = payments.order_id
    WHERE payments.status = 'captured'
        AND payments.currency = $currency
        AND ($channel IS NULL OR payments.channel = $channel)
        AND (
            payments.cancelled_at IS NULL
            OR ($basis = 'event_date' AND payments.created_at < payments.cancelled_at)
        )
)
SELECT
    'payment' AS kind,
    CASE WHEN $basis = 'event_date' THEN created_at ELSE placed_at END AS moved_at,
    order_id, number AS order_number, payment_id, payment_method, channel, country, region,
    customer_id, fulfillment_status, amount AS captured_amount, 1 AS captured_payments
FROM captured
UNION ALL
SELECT
    'payment_reversal', cancelled_at, order_id, number, payment_id, payment_method, channel, country,
    region, customer_id, fulfillment_status, -amount, -1
FROM captured
WHERE cancelled_at IS NOT NULL
