-- The first day with sales or returns, of any currency: where the period 'all' begins.
SELECT
    min(day) AS day,
    -- true when the rollup was made for another timezone than the tenant has now
    count(CASE WHEN timezone <> $timezone THEN 1 END) > 0 AS is_other_timezone
FROM daily_sales
