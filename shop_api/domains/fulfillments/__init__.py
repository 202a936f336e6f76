"""Goods of orders on their way out and back: fulfilments, completion, returns."""
