-- The movements behind a figure, one by one, or what all of them come to. Text in braces as in
-- figures.sql; the columns are what one movement adds to the metrics.
-- Grain of the answer: movement, or one row.
WITH movements AS (
    {movements}
){clock}{lookups},
opened AS (
    SELECT
        kind, moved_at, CAST(moved_at AS VARCHAR) AS counted_at, {ids},
        {columns}
    FROM movements
    {join}
    WHERE moved_at >= $first_at AND moved_at < $last_at{conditions}
)
SELECT
    {answer}
FROM opened
WHERE {has_some}
{page}
