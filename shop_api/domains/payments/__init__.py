"""Payments of orders: taking, holding, capturing and voiding them."""
