-- The events that make sessions count, each when it happened, and how far it had come: from 0 (came)
-- to 4 (purchase).
-- Grain of the answer: event.
SELECT
    occurred_at AS moved_at, visitor_id, session_id, order_id,
    CASE WHEN kind = 'page_view' THEN 1 ELSE 0 END AS page_views,
    CASE kind
        WHEN 'product_view' THEN 1
        WHEN 'add_to_cart' THEN 2
        WHEN 'checkout_started' THEN 3
        WHEN 'purchase' THEN 4
        ELSE 0
    END AS step
FROM traffic_events
WHERE $include_bots OR NOT is_bot
