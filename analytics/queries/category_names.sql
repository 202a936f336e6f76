-- The names of categories in which there are products first. Grain of the answer: category.
SELECT category_id AS id, min(category_name) AS name
FROM dim_products
WHERE LIST_CONTAINS(CAST($ids AS VARCHAR[]), category_id)
GROUP BY category_id
