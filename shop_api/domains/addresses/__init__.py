"""Customers' address books."""
