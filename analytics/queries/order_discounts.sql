-- What orders were reduced by: the code of their discount, else its title; 'several' where there are
-- some, 'unnamed' what an imported order does not name.
-- Grain of the answer: order_id; orders without discount are not in it.
SELECT
    order_id,
    CASE
        WHEN count(DISTINCT coalesce(order_discount_id, '')) = 1
            THEN coalesce(min(code), min(title), 'unnamed')
        ELSE 'several'
    END AS discount
FROM discounts
GROUP BY order_id
