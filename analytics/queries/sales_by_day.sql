-- The sales metrics of a period and of the one it is compared with, from the daily rollup.
-- Grain of the answer: part ('current', 'previous') × bucket, or one row without a part where there
-- is nothing of either. Additive: any period is a sum of days.
WITH sold AS (
    SELECT
        parts.part,
        CASE WHEN parts.part = 'current' THEN CAST(date_trunc($interval, day) AS DATE) END AS bucket,
        {metrics}
    FROM daily_sales
    JOIN (
        VALUES ('current', $start, $end), ('previous', $previous_start, $previous_end)
    ) AS parts (part, start_day, end_day) ON day >= parts.start_day AND day < parts.end_day
    WHERE basis = $basis
        AND currency = $currency
        AND ($channel IS NULL OR channel = $channel)
    GROUP BY 1, 2
),
-- all of the rollup is asked: days without rows say nothing of its timezone
rollup AS (
    SELECT
        -- true when it was made for another timezone than the tenant has now
        count(CASE WHEN timezone <> $timezone THEN 1 END) > 0 AS is_other_timezone
    FROM daily_sales
)
SELECT *
FROM rollup
LEFT JOIN sold ON true
