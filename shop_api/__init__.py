"""The HTTP product: a multi-tenant commerce API over Postgres, with its own analytics lake."""
