"""Scheduled reports: listing and downloading what the worker made."""
