"""The category tree over HTTP: made, found, moved, replaced, deleted, and what keeps it a tree."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest

from shop_api.models import MAX_CATEGORY_LEVELS
from tests.fixtures.api import Answered, Shop
from tests.fixtures.stores import Database

CATEGORIES = "/api/v1/categories"
# how long Postgres takes here to notice one of locks
CIRCLE_SECONDS = 8


def make(shop: Shop, slug: str, parent_id: str | None = None, **fields: Any) -> str:
    """A category's id."""
    body = {"name": slug.title(), "slug": slug, "parent_id": parent_id, **fields}
    made = shop.api.post(CATEGORIES, body)
    assert made.status == 201, made.body
    found: str = made.json["id"]
    return found


def chain(shop: Shop, name: str, length: int, parent_id: str | None = None) -> list[str]:
    """Categories each below the one before."""
    ids: list[str] = []
    for level in range(length):
        ids.append(make(shop, f"{name}-{level}", ids[-1] if ids else parent_id))
    return ids


def move(shop: Shop, category_id: str, parent_id: str | None) -> Answered:
    return shop.api.patch(f"{CATEGORIES}/{category_id}", {"parent_id": parent_id})


def at_once(*calls: Callable[[], Answered]) -> list[Answered]:
    """The answers of calls that begin at the same moment."""
    start = Barrier(len(calls))

    def run(call: Callable[[], Answered]) -> Answered:
        start.wait(5)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_categories_are_found_by_what_they_are(shop: Shop) -> None:
    clothes = make(shop, "clothes", position=2)
    shirts = make(shop, "shirts", clothes, position=1)
    make(shop, "hats", clothes, is_active=False)
    make(shop, "books", position=1)
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["clothes", "shirts", "hats", "books"]),
        ({"is_root": "true"}, ["clothes", "books"]),
        ({"is_root": "false"}, ["shirts", "hats"]),
        ({"is_active": "true"}, ["clothes", "shirts", "books"]),
        ({"is_active": "false"}, ["hats"]),
        ({"slug": "shirts"}, ["shirts"]),
        ({"slug": "none"}, []),
        ({"parent_id": clothes}, ["shirts", "hats"]),
        ({"parent_id": clothes, "is_active": "true"}, ["shirts"]),
        ({"parent_id": clothes, "is_root": "true"}, []),
        ({"parent_id": shirts}, []),
        ({"sort": "name"}, ["books", "clothes", "hats", "shirts"]),
        ({"sort": "position", "is_root": "true"}, ["books", "clothes"]),
        ({"sort": "position", "order": "desc"}, ["clothes", "books", "shirts", "hats"]),
    ]
    for query, slugs in cases:
        answered = shop.api.get(CATEGORIES, query={**query, "include_total": "true"})
        found = [row["slug"] for row in answered.json["data"]]
        if query.get("sort") == "position" and "order" in query:
            found[1:3] = sorted(found[1:3])  # of one position, in the order of their ids
        assert found == slugs, query
        assert answered.json["total"] == len(slugs)
    for query in ({"is_root": "1"}, {"is_active": "yes"}, {"sort": "slug"}, {"parent_id": "x"}):
        assert shop.api.get(CATEGORIES, query=query).status in (400, 422), query


def test_a_category_counts_its_own_products(shop: Shop) -> None:
    root = make(shop, "root")
    leaf = make(shop, "leaf", root)
    shop.product(category_ids=[root, leaf, root])
    shop.product(category_ids=[leaf], status="draft")
    counts = {row["slug"]: row["product_count"] for row in shop.api.get(CATEGORIES).json["data"]}
    assert counts == {"root": 1, "leaf": 2}
    # what is filed below is found all the same
    found = shop.api.get("/api/v1/products", query={"category": "root"}).json["data"]
    assert len(found) == 2


def test_a_publishable_key_sees_what_is_active(shop: Shop) -> None:
    shown, hidden = make(shop, "shown"), make(shop, "hidden", is_active=False)
    product = shop.product(category_ids=[shown, hidden])
    shop.product(category_ids=[shown], status="draft")
    key = shop.api.post(
        "/api/v1/api_keys",
        {"name": "page", "kind": "publishable", "scopes": ["catalog:read"]},
    ).json["key"]
    page = shop.api.with_token(key)
    listed = page.get(CATEGORIES, query={"include_total": "true"}).json
    assert [(row["slug"], row["product_count"]) for row in listed["data"]] == [("shown", 1)]
    assert listed["total"] == 1
    assert page.get(CATEGORIES, query={"is_active": "false"}).json["data"] == []
    assert page.get(f"{CATEGORIES}/{shown}").json["product_count"] == 1
    assert page.get(f"{CATEGORIES}/{hidden}").status == 404
    of_product = page.get(f"/api/v1/products/{product['id']}").json["categories"]
    assert [row["slug"] for row in of_product] == ["shown"]


def test_patch_changes_and_moves(shop: Shop) -> None:
    root, leaf = make(shop, "root"), make(shop, "leaf")
    moved = shop.api.patch(f"{CATEGORIES}/{leaf}", {"parent_id": root, "position": 3}).json
    assert (moved["parent_id"], moved["position"], moved["name"]) == (root, 3, "Leaf")
    for body, status, code in [
        ({"parent_id": leaf}, 422, "category_loop"),
        ({"parent_id": root}, 422, "category_loop"),
        ({"parent_id": str(uuid4())}, 422, "category_not_found"),
        ({"slug": "leaf"}, 409, "slug_taken"),
        ({"slug": "Not A Slug"}, 422, "validation_failed"),
        ({"slug": "leaf\n"}, 422, "validation_failed"),
    ]:
        for refused in (
            shop.api.patch(f"{CATEGORIES}/{root}", body),
            shop.api.put(f"{CATEGORIES}/{root}", {"name": "Root", "slug": "root", **body}),
        ):
            assert (refused.status, refused.code) == (status, code), body
    assert move(shop, leaf, None).json["parent_id"] is None


def test_put_replaces_and_keeps_what_the_category_holds(shop: Shop) -> None:
    root = make(shop, "root")
    category_id = make(shop, "old", root, position=4, is_active=False, external_id="e-1")
    child = make(shop, "child", category_id)
    shop.product(category_ids=[category_id])
    path = f"{CATEGORIES}/{category_id}"
    before = shop.api.get(path)
    body = {"name": "New", "slug": "new"}
    stale = shop.api.put(path, body, headers={"If-Match": '"9-00000000"'})
    assert (stale.status, stale.code) == (412, "precondition_failed")
    replaced = shop.api.put(path, body, headers={"If-Match": before.headers["ETag"]}).json
    assert replaced == {
        **before.json,
        **body,
        "parent_id": None,
        "position": 0,
        "is_active": True,
        "external_id": None,
        "updated_at": replaced["updated_at"],
    }
    assert replaced["product_count"] == 1
    assert shop.api.get(f"{CATEGORIES}/{child}").json["parent_id"] == category_id
    assert shop.api.put(path, {"name": "No slug"}).json["errors"][0]["pointer"] == "/slug"


def test_a_category_that_holds_something_is_not_deleted(shop: Shop) -> None:
    root = make(shop, "root")
    children = [make(shop, f"c-{number}", root) for number in range(6)]
    products = [shop.product(category_ids=[root])["id"] for _ in range(2)]
    path = f"{CATEGORIES}/{root}"

    def refused() -> str:
        answered = shop.api.delete(path)
        assert (answered.status, answered.code) == (409, "category_in_use")
        detail: str = answered.json["detail"]
        return detail.split(". ", maxsplit=1)[0]

    holds = "The category holds "
    assert refused() == f"{holds}6 categories (c-0, c-1, c-2, c-3, c-4, …) and 2 products"
    for child in children[1:]:
        assert shop.api.delete(f"{CATEGORIES}/{child}").status == 204
    assert refused() == f"{holds}1 category (c-0) and 2 products"
    assert move(shop, children[0], None).status == 200
    assert refused() == f"{holds}2 products"
    assert shop.api.patch(f"/api/v1/products/{products[0]}", {"category_ids": []}).status == 200
    assert refused() == f"{holds}1 product"
    assert shop.api.delete(f"/api/v1/products/{products[1]}").status == 204
    assert shop.api.delete(path).status == 204
    assert shop.api.delete(path).status == 404


def test_the_tree_is_ten_levels_deep_at_most(shop: Shop) -> None:
    ids = chain(shop, "n", MAX_CATEGORY_LEVELS)
    body = {"name": "Deeper", "slug": "deeper", "parent_id": ids[-1]}
    refused = shop.api.post(CATEGORIES, body)
    assert (refused.status, refused.code) == (422, "category_too_deep")
    assert refused.json["errors"][0]["pointer"] == "/parent_id"
    # all that hangs on what is moved counts
    branch = chain(shop, "b", 3)
    assert move(shop, branch[0], ids[-3]).code == "category_too_deep"
    assert move(shop, branch[0], ids[-4]).status == 200
    assert move(shop, branch[1], None).status == 200
    assert move(shop, ids[0], branch[0]).code == "category_loop"


@pytest.fixture
def patient(database: Database) -> Iterator[None]:
    """A Postgres that notices a circle of locks after longer than a busy machine takes."""
    database.server.execute(f"ALTER SYSTEM SET deadlock_timeout = '{CIRCLE_SECONDS}s'")
    database.server.execute("SELECT pg_reload_conf()")
    yield
    database.server.execute("ALTER SYSTEM RESET deadlock_timeout")
    database.server.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("method", ["patch", "put"])
def test_moves_at_once_do_not_wait_for_each_other_in_a_circle(
    shop: Shop, patient: None, method: str
) -> None:
    ids = [make(shop, f"n-{n}") for n in range(4)]
    moves = [(n, (n + 1) % 4) for n in range(4)] * 3

    def send(moved: tuple[int, int]) -> Answered:
        body = {"parent_id": ids[moved[1]], "name": "N", "slug": f"n-{moved[0]}"}
        return shop.api.call(method.upper(), f"{CATEGORIES}/{ids[moved[0]]}", body)

    started = time.perf_counter()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, moves))
    assert time.perf_counter() - started < CIRCLE_SECONDS
    assert {a.status for a in answers} == {200, 422}
    assert {a.code for a in answers if a.status == 422} == {"category_loop"}


def test_moves_at_once_do_not_add_up_to_more_levels(shop: Shop) -> None:
    half = MAX_CATEGORY_LEVELS // 2
    for attempt in range(3):
        upper, lower = (chain(shop, f"{name}{attempt}", half) for name in "ul")
        body = {"name": "One more", "slug": f"more-{attempt}", "parent_id": lower[-1]}
        answers = at_once(
            partial(move, shop, lower[0], upper[-1]),
            partial(shop.api.post, CATEGORIES, body),
        )
        assert sorted(a.status < 300 for a in answers) == [False, True]
        assert {a.code for a in answers if a.status >= 300} == {"category_too_deep"}


@pytest.mark.parametrize("kind", ["child", "product"])
def test_nothing_is_put_into_a_category_while_it_is_deleted(shop: Shop, kind: str) -> None:
    for attempt in range(5):
        category_id = make(shop, f"c-{attempt}")
        product = {"name": "P", "price": 1, "category_ids": [category_id]}
        child = {"name": "C", "slug": f"child-{attempt}", "parent_id": category_id}
        path, body = (CATEGORIES, child) if kind == "child" else ("/api/v1/products", product)
        deleted, put = at_once(
            partial(shop.api.delete, f"{CATEGORIES}/{category_id}"),
            partial(shop.api.post, path, body),
        )
        if deleted.status == 204:
            assert (put.status, put.code) == (422, "category_not_found")
        else:
            assert (deleted.code, put.status) == ("category_in_use", 201)
