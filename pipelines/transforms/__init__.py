"""From rows of Postgres to rows of the lake: pure functions, LazyFrame → LazyFrame."""
