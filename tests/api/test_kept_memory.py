"""What kept answers hold of a worker's memory is what is counted for them."""

import gc
import random
import string
import tracemalloc

import pytest

from shop_api.app import App
from shop_api.gateway.kept_answers import KeptAnswers
from shop_api.gateway.response_cache import MAX_QUERY_LENGTH, ResponseCache, in_order
from tests.fixtures.api import ApiClient, Shop

APP_SETTINGS = {"cache_keeps_first": True}
PRODUCTS = "/api/v1/products"
CODINGS = ("identity", "zstd", "br", "gzip")


@pytest.fixture
def kept(app: App) -> KeptAnswers:
    cache = dict(app.gateway.stages)["response_cache"]
    assert isinstance(cache, ResponseCache)
    return cache.kept


@pytest.fixture
def page(shop: Shop) -> ApiClient:
    """What anybody may do who looks into a storefront's script."""
    made = shop.api.post("/api/v1/api_keys", {"name": "page", "kind": "publishable"})
    return shop.api.with_token(made.json["key"])


def query(length: int) -> str:
    """Parameters of so many characters, not in the order of their names, that fit no product; with
    none, some that fit all.
    """
    if not length:
        return f"min_price=0.{random.randrange(10_000):04}&limit=10"
    letters = random.choices(string.ascii_letters, k=length - len("tags=&limit=10"))
    for place in range(60, len(letters) - 6, 60):
        letters[place : place + 6] = "&tags="
    return f"tags={''.join(letters)}&limit=10"


# of small answers so many that the 60 KB a process may take meanwhile for something else are little
@pytest.mark.parametrize(
    ("products", "length", "answers"),
    [(1, 0, 60), (9, 0, 60), (0, 40, 240), (0, 300, 120), (0, MAX_QUERY_LENGTH, 60)],
)
def test_what_is_held_is_counted(
    shop: Shop, page: ApiClient, kept: KeptAnswers, products: int, length: int, answers: int
) -> None:
    for number in range(products):
        shop.product(name=f"Mug {number}", description="Holds coffee. " * 20)

    def ask() -> None:
        target = f"{PRODUCTS}?{query(length)}"
        for coding in (*CODINGS, *CODINGS):
            answered = page.get(target, headers={"Accept-Encoding": coding})
            assert answered.status == 200
        assert answered.headers["Cache-Status"].startswith("shop-api; hit")

    ask()
    room, before = kept.limit_bytes, kept.size_bytes
    tracemalloc.start()
    try:
        for _ in range(answers):
            ask()
        counted = kept.size_bytes - before
        in_order.cache_clear()
        gc.collect()
        full, _ = tracemalloc.get_traced_memory()
        # all but the next are forgotten
        kept.limit_bytes = 2 * counted // answers
        ask()
        in_order.cache_clear()
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        kept.limit_bytes = room
    held = full - left
    # a small one has no compressed forms, which are counted all the same: 1.9 KB as 8.7
    assert held <= counted <= 6 * held


def test_nothing_is_kept_under_a_long_query(page: ApiClient, kept: KeptAnswers) -> None:
    target = f"{PRODUCTS}?{query(MAX_QUERY_LENGTH + 1)}"
    before = kept.size_bytes
    for _ in range(3):
        assert page.get(target).headers["Cache-Status"] == "shop-api; fwd=bypass"
    assert kept.size_bytes == before
