"""What a repository's methods are called with, for the test of the wall between tenants.

A victim has `ids` by name, a `product` that was sold, and its `variant_id`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from shop_api.db.keyset import PageRequest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAMPS = {"created_at": NOW, "updated_at": NOW}
Arguments = Callable[[Any], tuple[Any, ...]]


def page(sort: Any) -> PageRequest:
    return PageRequest(sort, is_descending=False, limit=10)


def one(name: str) -> Arguments:
    return lambda victim: (victim.ids[name],)


def of_product(name: str) -> Arguments:
    return lambda victim: (victim.ids["sold_product_id"], victim.ids[name])


def change(subject: str, /, **values: Any) -> Arguments:
    return lambda victim: (victim.ids[subject], {**values, "updated_at": NOW})


def listed(sort: Any) -> Arguments:
    return lambda _: ({}, page(sort))


def nothing(_: Any) -> tuple[Any, ...]:
    return ()


def no_filters(_: Any) -> tuple[Any, ...]:
    return ({},)
