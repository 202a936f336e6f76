"""Figures of what visitors did, over HTTP."""
