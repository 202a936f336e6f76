-- Products of the catalogue as it is now, by status. Grain of the answer: status.
SELECT status, count(*) AS products
FROM dim_products
GROUP BY status
