"""Fixtures every test may use; each lives in tests/fixtures by what it gives."""

from tests.fixtures.api import api, app, other_shop, shop
from tests.fixtures.passwords import cheap_passwords
from tests.fixtures.shop import tenant_id
from tests.fixtures.stores import database, redis_client, redis_url, server, template

__all__ = [
    "api",
    "app",
    "cheap_passwords",
    "database",
    "other_shop",
    "redis_client",
    "redis_url",
    "server",
    "shop",
    "template",
    "tenant_id",
]
