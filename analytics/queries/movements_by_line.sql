-- What lines of orders and of refunds add to the sales metrics, and when: as movements_by_order does,
-- but for what belongs to no line (orders, shipping, taxes, which refunds tell of no line).
-- A line counts when its order was placed; under event_date it reverses when that was cancelled.
-- What of a refund is told of no line is of no product. A product is in the category it is in now.
-- What only some questions ask of other tables is looked up for them ($needs_…). What a line's goods
-- cost, in braces, is told by analytics/conversion.py.
-- Grain of the answer: kind × line of an order, kind × row of refunds.
WITH sold AS (
    SELECT
        order_id,
        line_id,
        product_id,
        variant_id,
        channel,
        placed_at,
        cancelled_at,
        quantity AS units,
        gross_sales,
        discounts,
        coalesce({line_cost}, 0) AS cost_of_goods,
        CASE WHEN unit_cost IS NOT NULL THEN gross_sales - discounts ELSE 0 END AS costed_sales
    FROM order_lines
    WHERE currency = $currency AND ($channel IS NULL OR channel = $channel)
),
refunded AS (
    SELECT refunds.*, of_line.variant_id
    FROM refunds
    LEFT JOIN (
        SELECT line_id, variant_id FROM sold WHERE $needs_variants
    ) AS of_line ON of_line.line_id = refunds.line_id
    WHERE refunds.currency = $currency
        AND ($channel IS NULL OR refunds.channel = $channel)
        AND (
            refunds.cancelled_at IS NULL
            OR ($basis = 'event_date' AND refunds.refunded_at < refunds.cancelled_at)
        )
),
moved AS (
    SELECT
        'order' AS kind, placed_at AS moved_at, order_id, line_id,
        CAST(NULL AS VARCHAR) AS refund_id, product_id, variant_id, channel,
        units, gross_sales, discounts, 0 AS returns, cost_of_goods, costed_sales
    FROM sold
    WHERE cancelled_at IS NULL OR $basis = 'event_date'
    UNION ALL
    SELECT
        'cancellation', cancelled_at, order_id, line_id, NULL, product_id, variant_id, channel,
        -units, -gross_sales, -discounts, 0, -cost_of_goods, -costed_sales
    FROM sold
    WHERE cancelled_at IS NOT NULL AND $basis = 'event_date'
    UNION ALL
    SELECT
        'refund', CASE WHEN $basis = 'event_date' THEN refunded_at ELSE placed_at END,
        order_id, line_id, refund_id, product_id, variant_id, channel,
        0, 0, 0, goods_amount, 0, -costed_amount
    FROM refunded
    UNION ALL
    SELECT
        'refund_reversal', cancelled_at, order_id, line_id, refund_id, product_id, variant_id,
        channel, 0, 0, 0, -goods_amount, 0, costed_amount
    FROM refunded
    WHERE cancelled_at IS NOT NULL
)
SELECT
    moved.*, product.category_id, of_order.number AS order_number, of_order.country,
    of_order.region, of_order.customer_id, of_order.fulfillment_status
FROM moved
LEFT JOIN (
    SELECT product_id, category_id FROM dim_products WHERE $needs_categories
) AS product ON product.product_id = moved.product_id
LEFT JOIN (
    SELECT order_id, number, country, region, customer_id, fulfillment_status
    FROM orders
    WHERE $needs_orders
) AS of_order ON of_order.order_id = moved.order_id
