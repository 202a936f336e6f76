"""Erasing customers: what is personal goes, what happened stays."""
