-- How orders were paid: the method of all their captured payments, or 'mixed' where they are of
-- several. Grain of the answer: order_id; orders of which nothing was captured are not in it.
SELECT
    order_id,
    CASE WHEN min(method) = max(method) THEN min(method) ELSE 'mixed' END AS payment_method
FROM payments
WHERE status = 'captured'
GROUP BY order_id
