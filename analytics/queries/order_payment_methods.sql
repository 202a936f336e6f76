-- How orders were paid: the method of all their captured payments, or ':mixed' where they are of
-- several. An imported method may begin with a colon, too: with two.
-- Grain of the answer: order_id; orders of which nothing was captured are not in it.
SELECT
    order_id,
    CASE
        WHEN min(method) < max(method) THEN ':mixed'
        WHEN min(method) LIKE ':%' THEN ':' || min(method)
        ELSE min(method)
    END AS payment_method
FROM payments
WHERE status = 'captured'
GROUP BY order_id
