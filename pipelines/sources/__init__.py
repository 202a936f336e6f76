"""Reads from Postgres, all in one transaction that sees one instant."""
