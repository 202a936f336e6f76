-- Each customer who has an order that is not cancelled by $end_at: what all of it amounts to, what of
-- it is of the period from $start_at on, its three scores, and the segment they make.
-- Grain of the answer: customer_id.
WITH movements AS (
    {query customer_movements}
),
customers AS (
    SELECT
        customer_id,
        sum(orders) AS frequency,
        sum(gross_sales - discounts - returns) AS monetary,
        min(CASE WHEN orders = 1 THEN moved_at END) AS first_order_at,
        max(CASE WHEN orders = 1 THEN moved_at END) AS last_order_at,
        sum(CASE WHEN moved_at >= $start_at THEN orders ELSE 0 END) AS orders,
        sum(CASE WHEN moved_at >= $start_at THEN gross_sales ELSE 0 END) AS gross_sales,
        sum(CASE WHEN moved_at >= $start_at THEN discounts ELSE 0 END) AS discounts,
        sum(CASE WHEN moved_at >= $start_at THEN returns ELSE 0 END) AS returns
    FROM movements
    WHERE moved_at < $end_at AND customer_id IS NOT NULL
    GROUP BY customer_id
    HAVING sum(orders) > 0
),
{query customer_scores}
