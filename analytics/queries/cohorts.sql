-- The customers whose first order ever, in any currency and channel, lies in the period, by the
-- bucket (week, month) it lies in, and what they ordered in each bucket from there on. A cohort's
-- customers are those of them who ordered at all in the currency and channel asked for, by $end_at.
-- What counts before somebody's first order, an order that was cancelled, counts with that order.
-- Buckets are told as in customers_by_bucket.sql; the last ends at $end_at.
-- Grain of the answer: cohort × bucket; those without movements are not in it.
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
movements AS (
    {query customer_movements}
),
firsts AS (
    SELECT customer_id, CAST(floor(epoch(first_order_at)) AS BIGINT) AS first_order_second
    FROM dim_customers
    WHERE first_order_at >= $start_at AND first_order_at < $end_at
),
members AS (
    -- numbered, for grouping by ids of text took more memory than there is
    SELECT
        firsts.customer_id,
        ROW_NUMBER() OVER (ORDER BY firsts.first_order_second) AS member,
        firsts.first_order_second,
        b.bucket AS cohort
    FROM firsts
    JOIN bucket_days AS b
        ON b.day = firsts.first_order_second // 86400
        AND b.first_second <= firsts.first_order_second
        AND b.next_second > firsts.first_order_second
),
moved AS (
    SELECT
        members.member,
        members.cohort,
        GREATEST(
            CAST(floor(epoch(movements.moved_at)) AS BIGINT), members.first_order_second
        ) AS moved_second,
        movements.orders,
        movements.gross_sales - movements.discounts - movements.returns AS net_sales
    FROM movements
    JOIN members ON members.customer_id = movements.customer_id
    WHERE movements.moved_at < $end_at
),
cohort_customers AS (
    SELECT
        moved.member,
        moved.cohort,
        b.bucket,
        sum(moved.orders) AS orders,
        sum(moved.net_sales) AS net_sales
    FROM moved
    JOIN bucket_days AS b
        ON b.day = moved.moved_second // 86400
        AND b.first_second <= moved.moved_second
        AND b.next_second > moved.moved_second
    GROUP BY moved.member, moved.cohort, b.bucket
),
buyers AS (
    SELECT DISTINCT member, cohort
    FROM moved
    WHERE orders = 1
),
sizes AS (
    SELECT cohort, count(*) AS customers
    FROM buyers
    GROUP BY cohort
),
cells AS (
    SELECT
        cohort_customers.cohort,
        cohort_customers.bucket,
        {metrics}
    FROM cohort_customers
    JOIN buyers ON buyers.member = cohort_customers.member
    GROUP BY cohort_customers.cohort, cohort_customers.bucket
)
SELECT cells.*, sizes.customers
FROM cells
JOIN sizes ON sizes.cohort = cells.cohort
