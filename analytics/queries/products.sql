-- What was sold, by category (and over all products), and the products that sold most.
-- A line counts when its order was placed; under event_date it reverses when the order was cancelled.
-- Goods that came back count by the same rule as in daily_sales; those of no line have no product.
-- Grain of the answer: kind 'total' (one row), 'category' or 'product'.
WITH sold AS (
    SELECT
        product_id,
        sum(quantity) AS units,
        sum(gross_sales) AS gross_sales,
        sum(discounts) AS discounts
    FROM order_lines
    WHERE currency = $currency
        AND ($channel IS NULL OR channel = $channel)
        AND placed_at >= $start_at AND placed_at < $end_at
        AND (cancelled_at IS NULL OR $basis = 'event_date')
    GROUP BY product_id
),
reversed AS (
    SELECT
        product_id,
        -sum(quantity) AS units,
        -sum(gross_sales) AS gross_sales,
        -sum(discounts) AS discounts
    FROM order_lines
    WHERE $basis = 'event_date'
        AND currency = $currency
        AND ($channel IS NULL OR channel = $channel)
        AND cancelled_at >= $start_at AND cancelled_at < $end_at
    GROUP BY product_id
),
refunded AS (
    SELECT *
    FROM refunds
    WHERE goods_amount <> 0
        AND currency = $currency
        AND ($channel IS NULL OR channel = $channel)
        AND (cancelled_at IS NULL OR ($basis = 'event_date' AND refunded_at < cancelled_at))
),
returned AS (
    SELECT
        product_id,
        CASE WHEN $basis = 'event_date' THEN refunded_at ELSE placed_at END AS moved_at,
        goods_amount AS returns
    FROM refunded
    UNION ALL
    SELECT product_id, cancelled_at AS moved_at, -goods_amount AS returns
    FROM refunded
    WHERE cancelled_at IS NOT NULL
),
moved AS (
    SELECT product_id, units, gross_sales, discounts, 0 AS returns FROM sold
    UNION ALL
    SELECT product_id, units, gross_sales, discounts, 0 AS returns FROM reversed
    UNION ALL
    SELECT product_id, 0 AS units, 0 AS gross_sales, 0 AS discounts, sum(returns) AS returns
    FROM returned
    WHERE moved_at >= $start_at AND moved_at < $end_at
    GROUP BY product_id
),
per_product AS (
    SELECT
        product_id,
        sum(units) AS units,
        sum(gross_sales) AS gross_sales,
        sum(discounts) AS discounts,
        sum(returns) AS returns
    FROM moved
    GROUP BY product_id
),
named AS (
    SELECT per_product.*, p.name, p.sku, p.category_id, p.category_name
    FROM per_product
    LEFT JOIN dim_products AS p ON p.product_id = per_product.product_id
),
top_products AS (
    SELECT *
    FROM named
    WHERE product_id IS NOT NULL AND units > 0
    ORDER BY gross_sales DESC, product_id
    LIMIT 10
)
SELECT
    CASE WHEN GROUPING(category_id) = 1 THEN 'total' ELSE 'category' END AS kind,
    category_id AS id,
    category_name AS name,
    NULL AS sku,
    count(CASE WHEN units > 0 THEN product_id END) AS products,
    sum(units) AS units,
    sum(gross_sales) AS gross_sales,
    sum(discounts) AS discounts,
    sum(returns) AS returns
FROM named
GROUP BY GROUPING SETS ((category_id, category_name), ())
UNION ALL
SELECT 'product', product_id, name, sku, 1, units, gross_sales, discounts, returns
FROM top_products
