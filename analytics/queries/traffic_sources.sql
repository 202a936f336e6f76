-- Where the sessions of a period came from and on what: by referrer, by campaign, by device.
-- A session is of its landing, its first event in the period.
-- Grain of the answer: kind 'referrer', 'campaign' or 'device', and what it names; of each kind the
-- $top with the most sessions.
WITH placed AS (
    SELECT
        visitor_id,
        session_id,
        kind,
        referrer_host,
        utm_source,
        utm_medium,
        utm_campaign,
        device,
        ROW_NUMBER() OVER (
            PARTITION BY visitor_id, session_id ORDER BY occurred_at, event_id
        ) AS place
    FROM traffic_events
    WHERE occurred_at >= $start_at AND occurred_at < $end_at AND ($include_bots OR NOT is_bot)
),
landed AS (
    SELECT
        visitor_id,
        session_id,
        max(CASE WHEN place = 1 THEN referrer_host END) AS referrer_host,
        max(CASE WHEN place = 1 THEN utm_source END) AS utm_source,
        max(CASE WHEN place = 1 THEN utm_medium END) AS utm_medium,
        max(CASE WHEN place = 1 THEN utm_campaign END) AS utm_campaign,
        max(CASE WHEN place = 1 THEN device END) AS device,
        max(CASE WHEN kind = 'purchase' THEN 1 ELSE 0 END) AS is_converted
    FROM placed
    GROUP BY visitor_id, session_id
),
counted AS (
    SELECT
        CASE
            WHEN GROUPING(device) = 0 THEN 'device'
            WHEN GROUPING(referrer_host) = 0 THEN 'referrer'
            ELSE 'campaign'
        END AS kind,
        device,
        referrer_host,
        utm_source,
        utm_medium,
        utm_campaign,
        count(*) AS sessions,
        sum(is_converted) AS converted_sessions
    FROM landed
    GROUP BY GROUPING SETS ((device), (referrer_host), (utm_source, utm_medium, utm_campaign))
),
ranked AS (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY kind
            ORDER BY
                sessions DESC, device, referrer_host, utm_source, utm_medium, utm_campaign
        ) AS place
    FROM counted
)
SELECT
    kind, device, referrer_host, utm_source, utm_medium, utm_campaign, sessions, converted_sessions
FROM ranked
WHERE place <= $top
ORDER BY kind, place
