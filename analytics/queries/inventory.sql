-- Stock at the end of a period and what was sold of it, by variant, product, category or location.
-- Stock is what lies there now less what moved since the period ended: of a period that ends today
-- no movement is read.
-- Sold are lines of orders not cancelled, placed in the period (order_date); when something was sold
-- last is asked of all lines before its end. Amounts are of one currency, units of all.
-- A variant that was deleted is in none of it.
-- Grain of the answer: kind 'total' (one row), or 'row': those of a page, in their place.
WITH levels AS (
    SELECT variant_id, location_id, quantity, reserved
    FROM stock_levels
    UNION ALL
    SELECT variant_id, location_id, -quantity_delta AS quantity, -reserved_delta AS reserved
    FROM inventory_movements
    WHERE moved_at >= $end_at
),
returned AS (
    SELECT line_id, sum(goods_amount) AS returns
    FROM refunds
    WHERE line_id IS NOT NULL
        AND cancelled_at IS NULL
        AND currency = $currency
        AND placed_at >= $start_at AND placed_at < $end_at
    GROUP BY line_id
),
sold AS (
    SELECT
        l.variant_id,
        l.location_id,
        CASE WHEN l.placed_at >= $start_at THEN l.quantity ELSE 0 END AS units_sold,
        CASE WHEN l.placed_at >= $start_at AND l.currency = $currency
            THEN l.gross_sales ELSE 0 END AS gross_sales,
        CASE WHEN l.placed_at >= $start_at AND l.currency = $currency
            THEN l.gross_sales - l.discounts - coalesce(returned.returns, 0) ELSE 0
            END AS net_sales,
        l.placed_at AS last_sold_at
    FROM order_lines AS l
    LEFT JOIN returned ON returned.line_id = l.line_id
    WHERE l.placed_at < $end_at AND l.cancelled_at IS NULL AND l.variant_id IS NOT NULL
),
facts AS (
    SELECT
        variant_id,
        location_id,
        sum(quantity) AS quantity,
        sum(reserved) AS reserved,
        sum(units_sold) AS units_sold,
        sum(gross_sales) AS gross_sales,
        sum(net_sales) AS net_sales,
        max(last_sold_at) AS last_sold_at
    FROM (
        SELECT
            variant_id, location_id, quantity, reserved,
            0 AS units_sold, 0 AS gross_sales, 0 AS net_sales, NULL AS last_sold_at
        FROM levels
        UNION ALL
        SELECT
            variant_id, location_id, 0 AS quantity, 0 AS reserved,
            units_sold, gross_sales, net_sales, last_sold_at
        FROM sold
    ) AS moved
    GROUP BY variant_id, location_id
),
stocked AS (
    SELECT
        v.variant_id,
        v.product_id,
        v.title,
        v.sku,
        v.created_at,
        p.name,
        p.category_id,
        p.category_name,
        facts.location_id,
        coalesce(facts.quantity, 0) AS quantity,
        coalesce(facts.reserved, 0) AS reserved,
        coalesce(facts.units_sold, 0) AS units_sold,
        coalesce(facts.gross_sales, 0) AS gross_sales,
        coalesce(facts.net_sales, 0) AS net_sales,
        facts.last_sold_at,
        CASE WHEN v.currency = $currency THEN v.cost END AS cost
    FROM dim_variants AS v
    JOIN dim_products AS p ON p.product_id = v.product_id
    LEFT JOIN facts ON facts.variant_id = v.variant_id
    WHERE ($group_by <> 'location' OR facts.variant_id IS NOT NULL)
        AND ($location_id IS NULL OR facts.location_id = $location_id)
        AND ($category_id IS NULL OR p.category_id = $category_id)
        AND ($product_id IS NULL OR v.product_id = $product_id)
),
keyed AS (
    SELECT
        *,
        CASE $group_by
            WHEN 'variant' THEN variant_id
            WHEN 'product' THEN product_id
            WHEN 'category' THEN category_id
            ELSE location_id
        END AS id
    FROM stocked
),
grouped AS (
    SELECT
        id,
        CASE WHEN $group_by IN ('variant', 'product') THEN min(product_id) END AS product_id,
        CASE $group_by
            WHEN 'category' THEN min(category_name)
            WHEN 'location' THEN NULL
            ELSE min(name)
        END AS name,
        CASE WHEN $group_by = 'variant' THEN min(title) END AS title,
        CASE WHEN $group_by = 'variant' THEN min(sku) END AS sku,
        min(created_at) AS created_at,
        max(last_sold_at) AS last_sold_at,
        {metrics}
    FROM keyed
    GROUP BY id
),
ranked AS (
    SELECT
        *,
        sum(CASE WHEN ranked_sales > 0 THEN ranked_sales ELSE 0 END) OVER () AS all_sales,
        coalesce(
            sum(ranked_sales) OVER (
                ORDER BY ranked_sales DESC, id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ),
            0
        ) AS sales_before
    FROM (
        SELECT
            *,
            CASE WHEN $abc_by = 'net_sales' THEN stock_net_sales ELSE stock_gross_sales END
                AS ranked_sales
        FROM grouped
    ) AS with_sales
),
classified AS (
    SELECT
        *,
        CASE
            WHEN ranked_sales <= 0 THEN 'C'
            WHEN sales_before * 100 < all_sales * 80 THEN 'A'
            WHEN sales_before * 100 < all_sales * 95 THEN 'B'
            ELSE 'C'
        END AS abc_class,
        units_on_hand > 0
            AND created_at < $dead_before
            AND (last_sold_at IS NULL OR last_sold_at < $dead_before) AS is_dead_stock
    FROM ranked
),
wanted AS (
    SELECT
        *,
        CASE $sort
            WHEN 'stock_on_hand' THEN CAST(stock_on_hand AS DOUBLE)
            WHEN 'stock_reserved' THEN CAST(stock_reserved AS DOUBLE)
            WHEN 'stock_value' THEN CAST(stock_value AS DOUBLE)
            WHEN 'units_sold' THEN CAST(units_sold AS DOUBLE)
            WHEN 'gross_sales' THEN CAST(stock_gross_sales AS DOUBLE)
            WHEN 'net_sales' THEN CAST(stock_net_sales AS DOUBLE)
            WHEN 'sell_through'
                THEN CAST(units_sold AS DOUBLE) / NULLIF(units_sold + units_on_hand, 0)
            WHEN 'days_of_inventory' THEN CAST(units_on_hand AS DOUBLE) / NULLIF(units_sold, 0)
            WHEN 'last_sold_at' THEN CAST(epoch(last_sold_at) AS DOUBLE)
        END AS sort_number,
        CASE $sort WHEN 'name' THEN name WHEN 'sku' THEN sku END AS sort_text
    FROM classified
    WHERE ($abc_class IS NULL OR abc_class = $abc_class)
        AND ($dead_stock IS NULL OR is_dead_stock = $dead_stock)
        AND ($in_stock IS NULL OR (units_on_hand > 0) = $in_stock)
),
placed AS (
    SELECT
        *,
        ROW_NUMBER() OVER (
            ORDER BY
                CASE WHEN $is_descending THEN sort_number END DESC NULLS LAST,
                CASE WHEN NOT $is_descending THEN sort_number END ASC NULLS LAST,
                CASE WHEN $is_descending THEN sort_text END DESC NULLS LAST,
                CASE WHEN NOT $is_descending THEN sort_text END ASC NULLS LAST,
                id ASC NULLS LAST
        ) AS place
    FROM wanted
)
SELECT
    'row' AS kind,
    place,
    id,
    product_id,
    name,
    title,
    sku,
    CAST(last_sold_at AS VARCHAR) AS last_sold_at,
    abc_class,
    is_dead_stock,
    1 AS row_count,
    CASE WHEN is_dead_stock THEN 1 ELSE 0 END AS dead_rows,
    CASE WHEN is_dead_stock THEN units_on_hand ELSE 0 END AS dead_units,
    CASE WHEN is_dead_stock THEN stock_value ELSE 0 END AS dead_value,
    stock_on_hand,
    stock_reserved,
    units_on_hand,
    costed_units,
    stock_value,
    units_sold,
    stock_gross_sales,
    stock_net_sales
FROM placed
WHERE place > $offset AND place <= $offset + $limit
UNION ALL
SELECT
    'total', 0, NULL, NULL, NULL, NULL, NULL,
    CAST(max(last_sold_at) AS VARCHAR),
    NULL,
    NULL,
    count(*),
    coalesce(sum(CASE WHEN is_dead_stock THEN 1 ELSE 0 END), 0),
    coalesce(sum(CASE WHEN is_dead_stock THEN units_on_hand ELSE 0 END), 0),
    coalesce(sum(CASE WHEN is_dead_stock THEN stock_value ELSE 0 END), 0),
    coalesce(sum(stock_on_hand), 0),
    coalesce(sum(stock_reserved), 0),
    coalesce(sum(units_on_hand), 0),
    coalesce(sum(costed_units), 0),
    coalesce(sum(stock_value), 0),
    coalesce(sum(units_sold), 0),
    coalesce(sum(stock_gross_sales), 0),
    coalesce(sum(stock_net_sales), 0)
FROM placed
ORDER BY place
