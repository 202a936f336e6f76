"""Tickets for listening: what a browser shows in place of a bearer when it listens."""
