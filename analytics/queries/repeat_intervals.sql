-- How long customers took to order again: of each order placed in the period, the seconds since the
-- same customer's order before it, whenever that was. Orders not cancelled, of the currency and
-- channel, under either basis; each instant is cut to its second.
-- Grain of the answer: one row.
WITH buyers AS (
    SELECT DISTINCT customer_id
    FROM orders
    WHERE currency = $currency
        AND ($channel IS NULL OR channel = $channel)
        AND placed_at >= $start_at AND placed_at < $end_at
        AND cancelled_at IS NULL
),
placed AS (
    SELECT customer_id, placed_at, CAST(floor(epoch(placed_at)) AS BIGINT) AS placed_second
    FROM orders
    WHERE currency = $currency
        AND ($channel IS NULL OR channel = $channel)
        AND placed_at < $end_at
        AND cancelled_at IS NULL
        AND customer_id IN (SELECT customer_id FROM buyers)
),
followed AS (
    SELECT
        placed_at,
        placed_second
            - LAG(placed_second) OVER (PARTITION BY customer_id ORDER BY placed_second) AS seconds
    FROM placed
),
repeat_intervals AS (
    SELECT
        seconds,
        ROW_NUMBER() OVER (ORDER BY seconds) AS place,
        count(*) OVER () AS intervals
    FROM followed
    WHERE placed_at >= $start_at AND seconds IS NOT NULL
)
SELECT
    {metrics}
FROM repeat_intervals
