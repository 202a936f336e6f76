"""Fixtures every test may use; each lives in tests/fixtures by what it gives."""

import gc

import pytest

from tests.fixtures.api import api, app, other_shop, shop
from tests.fixtures.cache_stages import start_process
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
    "start_process",
    "template",
    "tenant_id",
]

# The folders whose files take minutes come first, so that no worker is left with one at the end;
# faults, which count seconds, when the linters of `make test` have ended.
LONG_FIRST = ("integration", "migrations", "faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order they are to be begun in; xdist gives them out so."""

    def place(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)

    items.sort(key=place)


def pytest_sessionstart() -> None:
    """Collecting makes a million objects and no garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What was collected lives to the end: to look for garbage among it, again and again, took a
    sixth of all the tests' time.
    """
    gc.freeze()
    gc.enable()
