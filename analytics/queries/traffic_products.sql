-- The products of a period that were viewed most, and how often they went into a cart.
-- Grain of the answer: product_id, the $top with the most views.
WITH seen AS (
    SELECT
        product_id,
        visitor_id,
        session_id,
        count(CASE WHEN kind = 'product_view' THEN 1 END) AS product_views,
        count(CASE WHEN kind = 'add_to_cart' THEN 1 END) AS cart_additions
    FROM traffic_events
    WHERE kind IN ('product_view', 'add_to_cart')
        AND occurred_at >= $start_at AND occurred_at < $end_at
        AND ($include_bots OR NOT is_bot)
    GROUP BY product_id, visitor_id, session_id
),
ranked AS (
    SELECT
        product_id,
        sum(product_views) AS product_views,
        sum(cart_additions) AS cart_additions,
        count(*) AS sessions,
        ROW_NUMBER() OVER (
            ORDER BY sum(product_views) DESC, sum(cart_additions) DESC, product_id
        ) AS place
    FROM seen
    GROUP BY product_id
)
SELECT
    ranked.product_id,
    p.name,
    p.sku,
    ranked.product_views,
    ranked.cart_additions,
    ranked.sessions
FROM ranked
LEFT JOIN dim_products AS p ON p.product_id = ranked.product_id
WHERE ranked.place <= $top
ORDER BY ranked.place
