"""Locations and stock."""
