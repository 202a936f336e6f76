-- The customers behind a figure, each by the last of the orders that make one count, or what all of
-- them come to. Text in braces as in figures_of_units.sql.
-- Grain of the answer: customer, or one row.
WITH movements AS (
    {movements}
),
parts AS (
    {parts}
){clock}{lookups},
counted AS (
    SELECT {keys}movements.*, is_now, {part_second} AS part_second
    FROM movements
    JOIN parts ON moved_at >= part_start AND moved_at < part_end
    {join}
    WHERE moved_at >= $first_at AND moved_at < $last_at{conditions}
),
units AS (
    {units}
),
last_orders AS (
    SELECT
        customer_id, order_id, order_number,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id ORDER BY moved_at DESC, order_id DESC
        ) AS place
    FROM counted
),
opened AS (
    SELECT
        'customer' AS kind,
        max(last_order_at) AS moved_at,
        CAST(max(last_order_at) AS VARCHAR) AS counted_at,
        max(order_id) AS order_id,
        max(order_number) AS order_number,
        customer_id,
        {columns}
    FROM units
    JOIN last_orders USING (customer_id)
    WHERE last_orders.place = 1
    GROUP BY customer_id
)
SELECT
    {answer}
FROM opened
WHERE {has_some}
{page}
