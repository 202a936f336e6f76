-- The pages of a period that were viewed most.
-- Grain of the answer: path, the $top with the most views.
WITH viewed AS (
    SELECT path, visitor_id, session_id, count(*) AS page_views
    FROM traffic_events
    WHERE kind = 'page_view'
        AND occurred_at >= $start_at AND occurred_at < $end_at
        AND ($include_bots OR NOT is_bot)
    GROUP BY path, visitor_id, session_id
),
ranked AS (
    SELECT
        path,
        sum(page_views) AS page_views,
        count(*) AS sessions,
        ROW_NUMBER() OVER (ORDER BY sum(page_views) DESC, path) AS place
    FROM viewed
    GROUP BY path
)
SELECT path, page_views, sessions
FROM ranked
WHERE place <= $top
ORDER BY place
