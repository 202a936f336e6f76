"""Variants of a product: what is stocked and sold."""
