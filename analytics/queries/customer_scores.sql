-- The three scores of each of `customers`, and the segment they make: the end of a statement that says
-- who these are. Scores are ranks among all of them: equal values get equal scores. An age is counted
-- in whole days of 86 400 s, from the second of the last order to the one $end_epoch.
-- Grain of the answer: customer_id.
aged AS (
    SELECT
        *,
        ($end_epoch - CAST(floor(epoch(last_order_at)) AS BIGINT)) // 86400 AS recency_days
    FROM customers
),
ranked AS (
    SELECT
        *,
        RANK() OVER (ORDER BY recency_days) - 1 AS more_recent,
        RANK() OVER (ORDER BY frequency) - 1 AS less_frequent,
        RANK() OVER (ORDER BY monetary) - 1 AS less_monetary,
        GREATEST(count(*) OVER () - 1, 1) AS others
    FROM aged
),
scored AS (
    SELECT
        *,
        {scores}
    FROM ranked
)
SELECT
    *,
    {segment}
FROM scored
