-- What orders were reduced by: the code of their discount, else its title; ':several' where there are
-- some, ':unnamed' what an imported order does not name. A title may begin with a colon, too: with two.
-- Grain of the answer: order_id; orders without discount are not in it.
SELECT
    order_id,
    CASE
        WHEN discounts > 1 THEN ':several'
        WHEN name LIKE ':%' THEN ':' || name
        ELSE coalesce(name, ':unnamed')
    END AS discount
FROM (
    SELECT
        order_id,
        count(DISTINCT coalesce(order_discount_id, '')) AS discounts,
        coalesce(min(code), min(title)) AS name
    FROM discounts
    GROUP BY order_id
) AS given
