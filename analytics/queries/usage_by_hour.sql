-- What was asked of the API in a period, by hour in UTC.
-- Grain of the answer: hour_key.
SELECT
    hour_key,
    sum(requests) AS requests,
    sum(refusals) AS refusals,
    sum(cache_hits) AS cache_hits,
    sum(request_bytes) AS request_bytes,
    sum(response_bytes) AS response_bytes,
    sum(duration_microseconds) AS duration_microseconds
FROM api_usage
WHERE hour >= $start_at AND hour < $end_at
GROUP BY hour_key
