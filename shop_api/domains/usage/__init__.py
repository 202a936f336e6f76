"""Figures over HTTP: dashboard, revenue, orders and the catalogue of metrics."""
