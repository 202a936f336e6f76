-- Where sessions came from and on what: what their first event of the period says, and of the period
-- compared with. Text of a statement that has `parts`, which may overlap.
-- Grain of the answer: visitor_id × session_id × is_now.
SELECT visitor_id, session_id, is_now, referrer_host, utm_source, utm_medium, utm_campaign, device
FROM (
    SELECT
        visitor_id, session_id, is_now, referrer_host, utm_source, utm_medium, utm_campaign, device,
        ROW_NUMBER() OVER (
            PARTITION BY visitor_id, session_id, is_now
            ORDER BY occurred_at, event_id
        ) AS place
    FROM traffic_events
    JOIN parts ON occurred_at >= part_start AND occurred_at < part_end
    WHERE occurred_at >= $first_at AND occurred_at < $last_at AND ($include_bots OR NOT is_bot)
) AS placed
WHERE place = 1
