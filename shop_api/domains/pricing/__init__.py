"""Discounts, taxes and shipping: what changes an order's total besides its goods."""
