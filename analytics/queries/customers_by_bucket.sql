-- Customers of the orders placed in each bucket (hour, day, week, month) of the period that are not
-- cancelled, under either basis: what customers.sql tells of a period, of each bucket.
-- Where the clocks of a zone move is known to analytics/periods.py alone: $first_seconds are the
-- seconds since 1970 the buckets start with, in order, $end_second the one after the last, and $days
-- the days in UTC, as numbers since 1970, that they lie in.
-- Grain of the answer: bucket, by its place in $first_seconds; buckets without orders are not in it.
WITH buckets AS (
    SELECT
        first_second,
        LEAD(first_second, 1, $end_second) OVER (ORDER BY first_second) AS next_second,
        ROW_NUMBER() OVER (ORDER BY first_second) - 1 AS bucket
    FROM UNNEST($first_seconds) AS firsts (first_second)
),
bucket_days AS (
    SELECT days.day, buckets.bucket, buckets.first_second, buckets.next_second
    FROM UNNEST($days) AS days (day)
    JOIN buckets
        ON buckets.first_second < (days.day + 1) * 86400
        AND buckets.next_second > days.day * 86400
),
placed AS (
    SELECT customer_id, placed_at, CAST(floor(epoch(placed_at)) AS BIGINT) AS placed_second
    FROM orders
    WHERE currency = $currency
        AND ($channel IS NULL OR channel = $channel)
        AND placed_at >= $start_at AND placed_at < $end_at
        AND cancelled_at IS NULL
),
ordered AS (
    SELECT
        b.bucket,
        placed.customer_id,
        max(placed.placed_at) AS last_order_at,
        min(b.first_second) AS first_second,
        count(*) AS orders
    FROM placed
    JOIN bucket_days AS b
        ON b.day = placed.placed_second // 86400
        AND b.first_second <= placed.placed_second
        AND b.next_second > placed.placed_second
    GROUP BY b.bucket, placed.customer_id
),
period_customers AS (
    SELECT
        ordered.bucket,
        ordered.customer_id,
        ordered.orders,
        ordered.last_order_at,
        c.first_order_at,
        CAST(floor(epoch(c.first_order_at)) AS BIGINT) >= ordered.first_second AS is_new
    FROM ordered
    LEFT JOIN dim_customers AS c ON c.customer_id = ordered.customer_id
)
SELECT
    bucket,
    {metrics}
FROM period_customers
GROUP BY bucket
