-- What was asked of the API in a period, by endpoint and how it was answered.
-- Grain of the answer: method × route × status class.
SELECT
    method,
    route,
    status_class,
    sum(requests) AS requests,
    sum(refusals) AS refusals,
    sum(cache_hits) AS cache_hits,
    sum(request_bytes) AS request_bytes,
    sum(response_bytes) AS response_bytes,
    sum(duration_microseconds) AS duration_microseconds
FROM api_usage
WHERE hour >= $start_at AND hour < $end_at
GROUP BY method, route, status_class
ORDER BY requests DESC, method, route, status_class
