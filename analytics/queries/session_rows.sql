-- The sessions behind a figure, each by its last event that counts, or what all of them come to. A
-- visitor is counted with the last of their sessions alone. Text in braces as in
-- figures_of_units.sql.
-- Grain of the answer: visitor_id × session_id, or one row.
WITH movements AS (
    {movements}
),
parts AS (
    {parts}
){clock}{lookups},
counted AS (
    SELECT {keys}movements.*, is_now, {part_second} AS part_second
    FROM movements
    JOIN parts ON moved_at >= part_start AND moved_at < part_end
    {join}
    WHERE moved_at >= $first_at AND moved_at < $last_at{conditions}
),
units AS (
    {units}
),
last_events AS (
    SELECT visitor_id, session_id, max(moved_at) AS last_event_at, max(order_id) AS order_id
    FROM counted
    GROUP BY visitor_id, session_id
),
placed AS (
    SELECT
        units.visitor_id AS seen_visitor_id, units.session_id, units.page_views,
        units.furthest_step, last_events.last_event_at, last_events.order_id,
        ROW_NUMBER() OVER (
            PARTITION BY units.visitor_id
            ORDER BY last_events.last_event_at DESC, units.session_id DESC
        ) AS place
    FROM units
    JOIN last_events
        ON last_events.visitor_id = units.visitor_id
        AND last_events.session_id = units.session_id
),
told AS (
    SELECT *, CASE WHEN place = 1 THEN seen_visitor_id END AS visitor_id
    FROM placed
),
opened AS (
    SELECT
        'session' AS kind,
        max(last_event_at) AS moved_at,
        CAST(max(last_event_at) AS VARCHAR) AS counted_at,
        max(order_id) AS order_id,
        seen_visitor_id,
        session_id,
        {columns}
    FROM told
    GROUP BY seen_visitor_id, session_id
)
SELECT
    {answer}
FROM opened
WHERE {has_some}
{page}
