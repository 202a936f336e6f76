-- The traffic metrics of a period by bucket: sessions, visitors, views and the steps to a purchase.
-- Buckets are cut as in sales_by_bucket: slots of $slot_seconds, so short that each lies in one
-- bucket; $first_slots are the slots the buckets start with, in order, $end_slot follows the last.
-- A session is a visitor's: the same session_id of two visitors is two. It has come as far as its
-- furthest event in the bucket, and through all steps before.
-- Grain of the answer: bucket, by its place in $first_slots; buckets without events are not in it.
WITH buckets AS (
    SELECT
        first_slot,
        LEAD(first_slot, 1, $end_slot) OVER (ORDER BY first_slot) AS next_slot,
        ROW_NUMBER() OVER (ORDER BY first_slot) - 1 AS bucket
    FROM UNNEST($first_slots) AS firsts (first_slot)
),
slots AS (
    SELECT
        (CAST(floor(epoch(occurred_at)) AS BIGINT) - $start_epoch) // $slot_seconds AS slot,
        visitor_id,
        session_id,
        count(CASE WHEN kind = 'page_view' THEN 1 END) AS page_views,
        max(
            CASE kind
                WHEN 'product_view' THEN 1
                WHEN 'add_to_cart' THEN 2
                WHEN 'checkout_started' THEN 3
                WHEN 'purchase' THEN 4
                ELSE 0
            END
        ) AS furthest_step
    FROM traffic_events
    WHERE occurred_at >= $start_at AND occurred_at < $end_at AND ($include_bots OR NOT is_bot)
    GROUP BY 1, visitor_id, session_id
),
period_sessions AS (
    SELECT
        buckets.bucket,
        slots.visitor_id,
        slots.session_id,
        sum(slots.page_views) AS page_views,
        max(slots.furthest_step) AS furthest_step
    FROM slots
    JOIN buckets ON slots.slot >= buckets.first_slot AND slots.slot < buckets.next_slot
    GROUP BY buckets.bucket, slots.visitor_id, slots.session_id
)
SELECT
    bucket,
    {metrics}
FROM period_sessions
GROUP BY bucket
