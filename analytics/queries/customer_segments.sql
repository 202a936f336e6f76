-- The customers who have ordered by $end_at, by segment. Grain of the answer: segment.
WITH customer_values AS (
    {query customer_values}
)
SELECT
    segment,
    {metrics}
FROM customer_values
GROUP BY segment
