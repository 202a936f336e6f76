-- Customers of the orders placed from $start_at on that are not cancelled, from what each customer's
-- row says of all their orders, in any currency and channel. That is what customers.sql tells of a
-- period of all channels when no order was placed after its end and all are of the currency asked
-- for: `is_known`.
-- No id is read: of a million of them that would take longer than all the rest.
-- Grain of the answer: one row.
WITH period_customers AS (
    SELECT
        'known' AS customer_id,
        orders,
        last_order_at,
        first_order_at,
        first_order_at >= $start_at AS is_new
    FROM dim_customers
    WHERE last_order_at >= $start_at
),
counted AS (
    SELECT
        {metrics},
        coalesce(max(last_order_at) < $end_at, true) AS is_over
    FROM period_customers
),
sold AS (
    SELECT coalesce(min(currency) = $currency AND max(currency) = $currency, false) AS is_alone
    FROM daily_sales
    WHERE basis = 'order_date' AND orders <> 0
)
SELECT counted.*, counted.is_over AND sold.is_alone AND $channel IS NULL AS is_known
FROM counted
CROSS JOIN sold
