"""Changing or deleting many products in one call."""
