-- Distinct counts by dimensions: of customers, from orders, or of sessions, from events. Text in
-- braces as in figures.sql; the units makes one row per customer or session of what is counted.
-- Grain of the answer: the dimensions asked for.
WITH movements AS (
    {movements}
){clock}{lookups},
counted AS (
    SELECT {keys}movements.*, {is_now} AS is_now, {part_second} AS part_second
    FROM movements
    {join}
    WHERE moved_at >= $first_at AND moved_at < $last_at{conditions}
),
units AS (
    {units}
)
SELECT
    {columns}
FROM units
{page}
