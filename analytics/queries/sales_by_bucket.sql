-- The sales metrics of a period by bucket (hour, day, week, month), from the facts themselves.
-- Where the clocks of a zone move is known to analytics/periods.py alone, and here are only instants:
-- the period is cut into slots of $slot_seconds, so short that each lies in one bucket; $first_slots
-- are the slots the buckets start with, in order, and $end_slot the one after the last.
-- Orders and refunds become movements of the shape of daily_sales, at the instant they count:
--   order_date: at the order's instant; a cancelled order counts only as cancelled, its refunds not.
--   event_date: an order at its instant, reversed when it was cancelled; a refund at its own instant
--               and reversed with its order, or left out when it came after the cancelling.
-- Grain of the answer: bucket, by its place in $first_slots; buckets without movements are not in it.
WITH buckets AS (
    SELECT
        first_slot,
        LEAD(first_slot, 1, $end_slot) OVER (ORDER BY first_slot) AS next_slot,
        ROW_NUMBER() OVER (ORDER BY first_slot) - 1 AS bucket
    FROM UNNEST($first_slots) AS firsts (first_slot)
),
placed AS (
    SELECT
        *,
        CASE WHEN status = 'pending' THEN 1 ELSE 0 END AS is_pending,
        CASE WHEN status = 'processing' THEN 1 ELSE 0 END AS is_processing,
        CASE WHEN status = 'completed' THEN 1 ELSE 0 END AS is_completed
    FROM orders
    WHERE currency = $currency AND ($channel IS NULL OR channel = $channel)
),
refunded AS (
    SELECT *
    FROM refunds
    WHERE currency = $currency
        AND ($channel IS NULL OR channel = $channel)
        AND (cancelled_at IS NULL OR ($basis = 'event_date' AND refunded_at < cancelled_at))
),
movements AS (
    SELECT
        placed_at AS moved_at, 1 AS orders, 0 AS cancelled_orders, is_pending AS pending_orders,
        is_processing AS processing_orders, is_completed AS completed_orders, units,
        gross_sales, discounts, 0 AS returns, shipping, taxes, cost_of_goods, costed_sales
    FROM placed
    WHERE cancelled_at IS NULL OR $basis = 'event_date'
    UNION ALL
    SELECT placed_at, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM placed
    WHERE cancelled_at IS NOT NULL AND $basis = 'order_date'
    UNION ALL
    SELECT
        cancelled_at, -1, 1, 0, 0, 0, -units, -gross_sales, -discounts, 0, -shipping, -taxes,
        -cost_of_goods, -costed_sales
    FROM placed
    WHERE cancelled_at IS NOT NULL AND $basis = 'event_date'
    UNION ALL
    SELECT
        CASE WHEN $basis = 'event_date' THEN refunded_at ELSE placed_at END,
        0, 0, 0, 0, 0, 0, 0, 0, goods_amount, -shipping_amount, -tax_amount, 0, -costed_amount
    FROM refunded
    UNION ALL
    SELECT
        cancelled_at, 0, 0, 0, 0, 0, 0, 0, 0, -goods_amount, shipping_amount, tax_amount, 0,
        costed_amount
    FROM refunded
    WHERE cancelled_at IS NOT NULL
),
slots AS (
    SELECT
        (CAST(floor(epoch(moved_at)) AS BIGINT) - $start_epoch) // $slot_seconds AS slot,
        sum(orders) AS orders, sum(cancelled_orders) AS cancelled_orders,
        sum(pending_orders) AS pending_orders, sum(processing_orders) AS processing_orders,
        sum(completed_orders) AS completed_orders, sum(units) AS units,
        sum(gross_sales) AS gross_sales, sum(discounts) AS discounts, sum(returns) AS returns,
        sum(shipping) AS shipping, sum(taxes) AS taxes, sum(cost_of_goods) AS cost_of_goods,
        sum(costed_sales) AS costed_sales
    FROM movements
    WHERE moved_at >= $start_at AND moved_at < $end_at
    GROUP BY 1
)
SELECT
    buckets.bucket,
    {metrics}
FROM slots
JOIN buckets ON slots.slot >= buckets.first_slot AND slots.slot < buckets.next_slot
GROUP BY buckets.bucket
