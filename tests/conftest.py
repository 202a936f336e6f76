"""Fixtures every test may use; each lives in tests/fixtures by what it gives."""

import atexit
import gc
from collections import Counter

import pytest

from tests.fixtures.api import api, app, other_shop, shop
from tests.fixtures.cache_stages import start_process
from tests.fixtures.object_store import bucket, s3_server
from tests.fixtures.passwords import cheap_passwords
from tests.fixtures.shop import no_tenants, tenant_id
from tests.fixtures.stores import database, redis_client, redis_url, server, template

__all__ = [
    "api",
    "app",
    "bucket",
    "cheap_passwords",
    "database",
    "no_tenants",
    "other_shop",
    "redis_client",
    "redis_url",
    "s3_server",
    "server",
    "shop",
    "start_process",
    "template",
    "tenant_id",
]

# The file and the folders of files that take minutes come first, so that no worker is left with one
# at the end; faults, which count seconds, when the linters of `make test` have ended.
LONG_FIRST = ("test_schemathesis", "integration", "migrations", "faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order they are to be begun in; xdist gives them out so.

    Of several tests with one id it would run one.
    """
    several = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if several:
        raise pytest.UsageError(f"several tests have the ids {several}")

    def place(item: pytest.Item) -> int:
        last = len(LONG_FIRST)
        names = (item.path.stem, item.path.parent.name)
        return min((LONG_FIRST.index(name) for name in names if name in LONG_FIRST), default=last)

    items.sort(key=place)


def pytest_sessionstart() -> None:
    """Collecting makes a million objects and no garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What was collected lives to the end: to look for garbage among it, again and again, took a
    sixth of all the tests' time. At the very end it is given back: else libraries that look then
    for what was never let go of find all of it.
    """
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)
