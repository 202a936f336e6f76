-- Metrics by dimensions, from movements. What stands in braces is text of typed definitions: the
-- movements by order or by line, the shop's wall clock where a dimension reads it, what one looks up
-- of orders, the SQL of the dimensions and of the metrics. Values are parameters.
-- Grain of the answer: the dimensions asked for.
WITH movements AS (
    {movements}
){clock}{lookups}
SELECT
    {columns}
FROM movements
{join}
WHERE moved_at >= $first_at AND moved_at < $last_at{conditions}
{page}
