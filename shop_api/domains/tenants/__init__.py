"""Tenants: making one, reading and changing one's own."""
