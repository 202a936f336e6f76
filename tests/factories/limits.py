"""Limits that nobody meets, for tests and benchmarks of anything else.

Belongs here: what such tenants are given. Does not: plans (shop_api/kernel/rate_limits.py).
"""

UNLIMITED = dict.fromkeys(("requests", "burst", "analytics", "mutations"), 1_000_000_000)
