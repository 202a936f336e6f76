-- Where sessions came from and on what: what their first event of the period says, and of the period
-- compared with, which is before $landed_from.
-- Grain of the answer: visitor_id × session_id × is_later.
SELECT visitor_id, session_id, is_later, referrer_host, utm_source, utm_medium, utm_campaign, device
FROM (
    SELECT
        visitor_id, session_id, occurred_at >= $landed_from AS is_later, referrer_host, utm_source,
        utm_medium, utm_campaign, device,
        ROW_NUMBER() OVER (
            PARTITION BY visitor_id, session_id, occurred_at >= $landed_from
            ORDER BY occurred_at, event_id
        ) AS place
    FROM traffic_events
    WHERE occurred_at >= $first_at AND occurred_at < $last_at AND ($include_bots OR NOT is_bot)
) AS placed
WHERE place = 1
