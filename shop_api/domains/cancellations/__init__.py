"""Cancelling orders: asked for, or because nobody paid in time."""
