"""Refunds of orders: money given back, by line, quantity or amount."""
