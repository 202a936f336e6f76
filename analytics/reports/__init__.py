"""Scheduled reports: figures of a day rendered as files. Knows no Flask and no schedule."""
