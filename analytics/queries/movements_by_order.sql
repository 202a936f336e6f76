-- What orders and refunds add to the sales metrics, and when: movements of the shape of daily_sales.
--   order_date: at the order's instant; a cancelled order counts only as cancelled, its refunds not.
--   event_date: an order at its instant, reversed when it was cancelled; a refund at its own instant
--               and reversed with its order, or left out when it came after the cancelling.
-- What a refund's order is of is looked up only for questions that ask ($needs_orders).
-- Grain of the answer: kind × order, kind × row of refunds.
WITH placed AS (
    SELECT
        *,
        CASE WHEN status = 'pending' THEN 1 ELSE 0 END AS is_pending,
        CASE WHEN status = 'processing' THEN 1 ELSE 0 END AS is_processing,
        CASE WHEN status = 'completed' THEN 1 ELSE 0 END AS is_completed
    FROM orders
    WHERE currency = $currency AND ($channel IS NULL OR channel = $channel)
),
refunded AS (
    SELECT
        refunds.*, of_order.number, of_order.country, of_order.region, of_order.customer_id,
        of_order.fulfillment_status
    FROM refunds
    LEFT JOIN (
        SELECT order_id, number, country, region, customer_id, fulfillment_status
        FROM placed
        WHERE $needs_orders
    ) AS of_order ON of_order.order_id = refunds.order_id
    WHERE refunds.currency = $currency
        AND ($channel IS NULL OR refunds.channel = $channel)
        AND (
            refunds.cancelled_at IS NULL
            OR ($basis = 'event_date' AND refunds.refunded_at < refunds.cancelled_at)
        )
)
SELECT
    'order' AS kind, placed_at AS moved_at, order_id, number AS order_number,
    CAST(NULL AS VARCHAR) AS line_id, CAST(NULL AS VARCHAR) AS refund_id, channel, country, region,
    customer_id, fulfillment_status,
    1 AS orders, 0 AS cancelled_orders, is_pending AS pending_orders,
    is_processing AS processing_orders, is_completed AS completed_orders, units, gross_sales,
    discounts, 0 AS returns, shipping, taxes, cost_of_goods, costed_sales
FROM placed
WHERE cancelled_at IS NULL OR $basis = 'event_date'
UNION ALL
SELECT
    'cancellation', placed_at, order_id, number, NULL, NULL, channel, country, region,
    customer_id, fulfillment_status,
    0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
FROM placed
WHERE cancelled_at IS NOT NULL AND $basis = 'order_date'
UNION ALL
SELECT
    'cancellation', cancelled_at, order_id, number, NULL, NULL, channel, country, region,
    customer_id, fulfillment_status,
    -1, 1, 0, 0, 0, -units, -gross_sales, -discounts, 0, -shipping, -taxes, -cost_of_goods,
    -costed_sales
FROM placed
WHERE cancelled_at IS NOT NULL AND $basis = 'event_date'
UNION ALL
SELECT
    'refund', CASE WHEN $basis = 'event_date' THEN refunded_at ELSE placed_at END,
    order_id, number, line_id, refund_id, channel, country, region,
    customer_id, fulfillment_status,
    0, 0, 0, 0, 0, 0, 0, 0, goods_amount, -shipping_amount, -tax_amount, 0, -costed_amount
FROM refunded
UNION ALL
SELECT
    'refund_reversal', cancelled_at, order_id, number, line_id, refund_id, channel, country, region,
    customer_id, fulfillment_status,
    0, 0, 0, 0, 0, 0, 0, 0, -goods_amount, shipping_amount, tax_amount, 0, costed_amount
FROM refunded
WHERE cancelled_at IS NOT NULL
