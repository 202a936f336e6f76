"""The write side of the lake: from Postgres to published facts.

Belongs here: sources → transforms → checks → sinks, and when they run. Does not: reading the lake
(analytics) and anything HTTP.
"""
