-- What customers ordered and gave back, each at the instant it counts; guests are the null customer.
--   order_date: at the order's instant; a cancelled order counts not at all, nor do its refunds.
--   event_date: an order at its instant, reversed when it was cancelled; a refund at its own instant
--               and reversed with its order, or left out when it came after the cancelling.
-- `orders` is 1 where an order that is not cancelled was placed, under either basis, and else 0.
-- Grain of the answer: one movement.
WITH placed AS (
    SELECT order_id, customer_id, placed_at, cancelled_at, gross_sales, discounts
    FROM orders
    WHERE currency = $currency AND ($channel IS NULL OR channel = $channel)
),
refunded AS (
    SELECT order_id, refunded_at, cancelled_at, sum(goods_amount) AS returns
    FROM refunds
    WHERE goods_amount <> 0
        AND currency = $currency
        AND ($channel IS NULL OR channel = $channel)
        AND (cancelled_at IS NULL OR ($basis = 'event_date' AND refunded_at < cancelled_at))
    GROUP BY order_id, refunded_at, cancelled_at
),
returned AS (
    SELECT
        placed.customer_id, placed.placed_at, refunded.refunded_at, refunded.cancelled_at,
        refunded.returns
    FROM refunded
    JOIN placed ON placed.order_id = refunded.order_id
)
SELECT customer_id, placed_at AS moved_at, 1 AS orders, gross_sales, discounts, 0 AS returns
FROM placed
WHERE cancelled_at IS NULL
UNION ALL
SELECT customer_id, placed_at, 0, gross_sales, discounts, 0
FROM placed
WHERE cancelled_at IS NOT NULL AND $basis = 'event_date'
UNION ALL
SELECT customer_id, cancelled_at, 0, -gross_sales, -discounts, 0
FROM placed
WHERE cancelled_at IS NOT NULL AND $basis = 'event_date'
UNION ALL
SELECT
    customer_id, CASE WHEN $basis = 'event_date' THEN refunded_at ELSE placed_at END, 0, 0, 0, returns
FROM returned
UNION ALL
SELECT customer_id, cancelled_at, 0, 0, 0, -returns
FROM returned
WHERE cancelled_at IS NOT NULL
