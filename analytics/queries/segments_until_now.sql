-- The customers who have ordered, by segment, from what each customer's row says of all their orders,
-- in any currency and channel. That is what customer_segments.sql tells of all channels when nothing
-- counts after $end_at and all is of the currency asked for; else, and where rows are of an earlier
-- release, there are no rows.
-- Grain of the answer: segment.
WITH customer_values AS (
    WITH sold AS (
        SELECT coalesce(min(currency) = $currency AND max(currency) = $currency, false) AS is_alone
        FROM daily_sales
        WHERE basis = 'order_date' AND orders <> 0
    ),
    buyers AS (
        SELECT customer_id, orders, net_sales, last_order_at, last_moved_at
        FROM dim_customers
        WHERE orders > 0
    ),
    told AS (
        -- without the customer's id, of which a million take longer to read than all the rest
        SELECT
            count(*) = count(last_moved_at)
            AND max(CASE WHEN $basis = 'event_date' THEN last_moved_at ELSE last_order_at END) < $end_at
                AS is_complete
        FROM buyers
    ),
    customers AS (
        SELECT customer_id, orders AS frequency, net_sales AS monetary, last_order_at
        FROM buyers
        CROSS JOIN told
        CROSS JOIN sold
        WHERE told.is_complete AND sold.is_alone AND $channel IS NULL
    ),
    {query customer_scores}
)
SELECT
    segment,
    {metrics}
FROM customer_values
GROUP BY segment
