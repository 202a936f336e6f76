"""Changing and deleting many products in one call: each tells what became of it."""

import threading
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from tests.fixtures.api import Answered, Shop

PRODUCTS = "/api/v1/products"
UPDATE = f"{PRODUCTS}/bulk-update"
DELETE = f"{PRODUCTS}/bulk-delete"
NO_SEO = {"title": None, "description": None, "slug": None}


def update(shop: Shop, *items: dict[str, Any], atomic: bool = False, **options: Any) -> Answered:
    query = {"atomic": "true"} if atomic else {}
    return shop.api.call("PUT", UPDATE, {"products": list(items)}, query=query, **options)


def delete(shop: Shop, *ids: str, atomic: bool = False, **options: Any) -> Answered:
    query = {"atomic": "true"} if atomic else {}
    return shop.api.call("DELETE", DELETE, {"ids": list(ids)}, query=query, **options)


def read(shop: Shop, product: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = shop.api.get(f"{PRODUCTS}/{product['id']}").json
    return found


def outcomes(answered: Answered) -> list[tuple[int, str | None]]:
    return [
        (result["status"], result["problem"] and result["problem"]["code"])
        for result in answered.json["results"]
    ]


def category(shop: Shop, slug: str) -> str:
    found: str = shop.api.post("/api/v1/categories", {"name": slug, "slug": slug}).json["id"]
    return found


def events_of(app: App, shop: Shop, type: str) -> list[Any]:
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        query = text("SELECT data FROM events WHERE type = :type ORDER BY sequence")
        return list(session.execute(query, {"type": type}).scalars())


def test_each_product_is_changed_as_its_item_says(app: App, shop: Shop) -> None:
    shirts, hats = category(shop, "shirts"), category(shop, "hats")
    shirt = shop.product("10.00", name="Shirt", sku="S", tags=["a"], category_ids=[shirts])
    hat = shop.product("20.00", name="Hat", cost_price=Decimal(5), category_ids=[shirts])
    mug = shop.product("30.00", name="Mug", external_id="m")
    answered = update(
        shop,
        {"id": shirt["id"], "price": Decimal("12.50"), "tags": ["b", "ä\"'\\,{}"], "sku": None},
        {"id": hat["id"], "cost_price": None, "category_ids": [hats, shirts, hats]},
        {"id": mug["id"], "status": "archived", "seo": {"slug": "mug"}, "description": "Big"},
    )
    assert answered.status == 200, answered.body
    assert (answered.json["succeeded"], answered.json["failed"]) == (3, 0)
    assert [result["id"] for result in answered.json["results"]] == [
        product["id"] for product in (shirt, hat, mug)
    ]
    expected: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (shirt, {"price": Decimal("12.50"), "tags": ["b", "ä\"'\\,{}"], "sku": None}),
        (hat, {"cost_price": None}),
        (mug, {"status": "archived", "seo": {**NO_SEO, "slug": "mug"}, "description": "Big"}),
    ]
    for (before, changes), result in zip(expected, answered.json["results"], strict=True):
        one = shop.api.get(f"{PRODUCTS}/{before['id']}")
        after = one.json
        assert one.headers["ETag"] == result["etag"]
        assert after["updated_at"] > before["updated_at"]
        for name in before.keys() - {"updated_at", "variants", "categories"}:
            assert after[name] == changes.get(name, before[name]), name
    assert {c["slug"] for c in read(shop, hat)["categories"]} == {"shirts", "hats"}
    assert [c["slug"] for c in read(shop, shirt)["categories"]] == ["shirts"]
    # one event and one audit row for each, as if changed alone
    events = events_of(app, shop, "product_updated")
    assert [(e["product_id"], e["changes"]) for e in events] == [
        (shirt["id"], ["price", "sku", "tags"]),
        (hat["id"], ["category_ids", "cost_price"]),
        (mug["id"], ["description", "seo", "status"]),
    ]
    assert events[0]["updated_fields"] == {
        "price": 12.5,
        "sku": None,
        "tags": ["b", "ä\"'\\,{}"],
    }
    audit = shop.api.get("/api/v1/audit_log", query={"action": "product_updated"}).json["data"]
    assert len(audit) == 3
    mug_entry = next(entry for entry in audit if entry["subject_id"] == mug["id"])
    assert mug_entry["before"] == {"description": "", "status": "active", "seo": NO_SEO}


def test_what_cannot_be_changed_is_told_and_the_rest_is_done(shop: Shop, other_shop: Shop) -> None:
    a, b, c, d, e = (shop.product(name=name, sku=name) for name in "ABCDE")
    stale = shop.api.get(f"{PRODUCTS}/{a['id']}").headers["ETag"]
    fresh = shop.api.patch(f"{PRODUCTS}/{a['id']}", {"tags": ["x"]}).headers["ETag"]
    foreign = other_shop.product()
    items = [
        {"id": a["id"], "if_match": stale, "name": "A2"},
        {"id": str(uuid4()), "name": "nobody"},
        {"id": foreign["id"], "name": "taken over"},
        {"id": b["id"], "price": Decimal("1.005")},
        {"id": c["id"], "category_ids": [str(uuid4())]},
        # taken by a product, even one that gives it up in the same call
        {"id": d["id"], "sku": "E"},
        {"id": e["id"], "sku": "F", "external_id": "e"},
    ]
    answered = update(shop, *items)
    assert answered.status == 200
    assert outcomes(answered) == [
        (412, "precondition_failed"),
        (404, "not_found"),
        (404, "not_found"),
        (422, "inexact_amount"),
        (422, "category_not_found"),
        (409, "sku_taken"),
        (200, None),
    ]
    assert (answered.json["succeeded"], answered.json["failed"]) == (1, 6)
    refused = answered.json["results"]
    assert refused[3]["problem"]["errors"][0]["pointer"] == "/price"
    assert refused[4]["problem"]["errors"][0]["pointer"] == "/category_ids/0"
    assert all(result["etag"] is None for result in refused[:6])
    assert [read(shop, p)["name"] for p in (a, b, c, d)] == ["A", "B", "C", "D"]
    assert read(shop, e)["sku"] == "F"
    assert other_shop.api.get(f"{PRODUCTS}/{foreign['id']}").json["name"] == "Thing"
    # of two that want the same, the first has it; the version that holds lets the change through
    answered = update(
        shop,
        {"id": a["id"], "if_match": fresh, "sku": "G", "external_id": "e"},
        {"id": b["id"], "sku": "G"},
        {"id": c["id"], "sku": "C", "external_id": "g"},
        {"id": d["id"], "external_id": "g"},
    )
    assert outcomes(answered) == [
        (409, "external_id_taken"),
        (200, None),
        (200, None),
        (409, "external_id_taken"),
    ]


def test_all_or_none(app: App, shop: Shop) -> None:
    a, b = shop.product(name="A"), shop.product(name="B")
    items = [
        {"id": a["id"], "name": "A2"},
        {"id": b["id"], "price": Decimal("1.001"), "cost_price": Decimal("0.001")},
        {"id": str(uuid4()), "name": "C"},
    ]
    refused = update(shop, *items, atomic=True, key="all")
    assert (refused.status, refused.code) == (422, "items_refused")
    assert [error["pointer"] for error in refused.json["errors"]] == [
        "/products/1/price",
        "/products/1/cost_price",
        "/products/2",
    ]
    assert read(shop, a) == a
    assert events_of(app, shop, "product_updated") == []
    # only what succeeded is kept under a key
    done = update(shop, items[0], atomic=True, key="all")
    assert outcomes(done) == [(200, None)]
    again = update(shop, items[0], atomic=True, key="all")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.body == done.body
    assert len(events_of(app, shop, "product_updated")) == 1


def test_sold_products_are_not_deleted(app: App, shop: Shop) -> None:
    sold, free, other = (shop.product(name=name) for name in ("sold", "free", "other"))
    assert shop.order((sold["variants"][0]["id"], 1)).status == 201
    absent = str(uuid4())
    refused = delete(shop, free["id"], sold["id"], absent, atomic=True)
    assert (refused.status, refused.code) == (422, "items_refused")
    assert [error["pointer"] for error in refused.json["errors"]] == ["/ids/1", "/ids/2"]
    assert read(shop, free) == free
    answered = delete(shop, free["id"], sold["id"], absent)
    assert outcomes(answered) == [(204, None), (409, "product_in_use"), (404, "not_found")]
    assert (answered.json["succeeded"], answered.json["failed"]) == (1, 2)
    assert shop.api.get(f"{PRODUCTS}/{free['id']}").status == 404
    assert {p["id"] for p in shop.api.get(PRODUCTS).json["data"]} == {sold["id"], other["id"]}
    assert events_of(app, shop, "product_deleted") == [{"product_id": free["id"]}]
    entry = shop.api.get("/api/v1/audit_log", query={"action": "product_deleted"}).json["data"][0]
    assert entry["before"]["name"] == "free"
    assert outcomes(delete(shop, other["id"], atomic=True)) == [(204, None)]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"products": []}, "/products"),
        ({"products": [{"name": "x"}]}, "/products/0/id"),
        ({"products": [{"id": "x"}]}, "/products/0/id"),
        ({"products": [{"id": str(uuid4()), "price": -1}]}, "/products/0/price"),
        ({"products": [{"id": str(uuid4()), "variants": []}]}, "/products/0/variants"),
        ({"products": [{"id": str(uuid4())} for _ in range(1001)]}, "/products"),
        ({"products": [{"id": str(uuid4())}] * 2}, "/products"),
    ],
)
def test_bodies_are_bounded(shop: Shop, body: dict[str, Any], pointer: str) -> None:
    refused = shop.api.call("PUT", UPDATE, body)
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert refused.json["errors"][0]["pointer"] == pointer
    if pointer == "/products":
        ids = [item["id"] for item in body["products"]]
        refused = shop.api.call("DELETE", DELETE, {"ids": ids})
        assert (refused.status, refused.code) == (422, "validation_failed")
        assert refused.json["errors"][0]["pointer"] == "/ids"


def test_two_calls_over_the_same_products_both_end(app: App, shop: Shop) -> None:
    ids = [shop.product(name=str(n))["id"] for n in range(20)]
    answers: list[Answered] = []

    def run(order: list[str], tag: str) -> None:
        answers.extend(
            update(shop, *({"id": i, "tags": [tag, str(n)]} for i in order)) for n in range(5)
        )

    threads = [
        threading.Thread(target=run, args=(order, tag))
        for order, tag in ((ids, "a"), (ids[::-1], "b"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answered.json["succeeded"] for answered in answers] == [20] * 10
    # the last call has all of them
    found = {tuple(p["tags"]) for p in shop.api.get(PRODUCTS, query={"limit": 100}).json["data"]}
    assert len(found) == 1
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        versions = session.execute(text("SELECT DISTINCT version FROM products")).scalars().all()
    assert versions == [11]


def test_orders_and_deletion_do_not_pass_each_other(shop: Shop) -> None:
    for _ in range(5):
        products = [shop.product() for _ in range(4)]
        ordered: list[Answered] = []

        def order(products: list[dict[str, Any]] = products, into: Any = ordered) -> None:
            lines = [(p["variants"][0]["id"], 1) for p in products]
            into.extend(shop.order(line) for line in lines)

        thread = threading.Thread(target=order)
        thread.start()
        deleted = delete(shop, *(p["id"] for p in products))
        thread.join()
        for answered, (status, _) in zip(ordered, outcomes(deleted), strict=True):
            assert (answered.status, status) in ((201, 409), (422, 204), (404, 204), (409, 204)), (
                answered.body,
                status,
            )


@pytest.mark.parametrize(("path", "method"), [(UPDATE, "PUT"), (DELETE, "DELETE")])
def test_other_methods_are_refused(shop: Shop, path: str, method: str) -> None:
    for other in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {method}:
        refused = shop.api.call(other, path)
        assert (refused.status, refused.code) == (405, "method_not_allowed"), other
        assert method in refused.headers["Allow"]
