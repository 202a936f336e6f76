-- Sessions of counted events: of what is cut by time, of each point; else of the period.
-- Grain of the answer: visitor_id × session_id × what is cut by.
SELECT
    {key_names}is_now,
    visitor_id,
    session_id,
    sum(page_views) AS page_views,
    max(step) AS furthest_step
FROM counted
GROUP BY {key_names}is_now, visitor_id, session_id
