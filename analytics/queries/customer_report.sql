-- A page of the customers who have ordered by $end_at, in the order asked for. {order} is one of the
-- orders of analytics/reports/customers.py. Grain of the answer: customer_id.
WITH customer_values AS (
    {query customer_values}
)
SELECT
    customer_id,
    segment,
    recency_score,
    frequency_score,
    monetary_score,
    recency_days,
    frequency,
    monetary,
    orders,
    gross_sales,
    discounts,
    returns,
    gross_sales - discounts - returns AS net_sales,
    CAST(first_order_at AS TIMESTAMP) AS first_order_at,
    CAST(last_order_at AS TIMESTAMP) AS last_order_at,
    count(*) OVER () AS total
FROM customer_values
WHERE $segment IS NULL OR segment = $segment
ORDER BY {order}, customer_id
LIMIT $limit OFFSET $offset
