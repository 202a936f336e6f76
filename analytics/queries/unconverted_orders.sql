-- Orders of the period that cannot be told in a currency: they are in another one, and were placed
-- without a rate into it. Grain of the answer: one row.
SELECT
    {metrics}
FROM orders
WHERE currency <> $currency
    AND (exchange_rate IS NULL OR base_currency IS NULL OR base_currency <> $currency)
    AND ($channel IS NULL OR channel = $channel)
    AND ($start_at IS NULL OR placed_at >= $start_at)
    AND placed_at < $end_at
