"""Figures of customers over HTTP: cohorts, segments, lifetime value."""
