-- Customers of counted orders: of what is cut by time, of each point; else of the period. Guests are
-- one row without customer.
-- Grain of the answer: customer_id × what is cut by.
SELECT
    {key_names}is_now,
    customer_id,
    count(*) AS orders,
    max(moved_at) AS last_order_at,
    max(first_order_at) AS first_order_at,
    max(first_second) >= min(part_second) AS is_new
FROM counted
GROUP BY {key_names}is_now, customer_id
