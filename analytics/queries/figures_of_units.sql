-- Distinct counts by dimensions: of customers, from orders, or of sessions, from events. Text in
-- braces as in figures.sql; the units makes one row per customer or session of what is counted. What
-- is in the period and in the one compared with, as of two years and the two from a year before, is
-- counted in both.
-- Grain of the answer: the dimensions asked for.
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
)
SELECT
    {columns}
FROM units
{page}
