-- The names of products of the catalogue. Grain of the answer: product.
SELECT product_id AS id, name
FROM dim_products
WHERE LIST_CONTAINS(CAST($ids AS VARCHAR[]), product_id)
