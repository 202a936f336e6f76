"""Postgres: engines, the unit of work, row-level security, column types."""
