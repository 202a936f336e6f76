"""Products, stock and customers over HTTP: made, found, changed, deleted."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from tests.fixtures.api import Answered, Shop

PRODUCTS = "/api/v1/products"
CATEGORIES = "/api/v1/categories"
CUSTOMERS = "/api/v1/customers"
ADJUSTMENTS = "/api/v1/inventory/adjustments"


def names(shop: Shop, **query: Any) -> set[str]:
    answered = shop.api.get(PRODUCTS, query=query)
    assert answered.status == 200, answered.body
    return {product["name"] for product in answered.json["data"]}


def category(shop: Shop, slug: str, parent_id: str | None = None) -> str:
    body = {"name": slug.title(), "slug": slug, "parent_id": parent_id}
    found: str = shop.api.post(CATEGORIES, body).json["id"]
    return found


def adjust(shop: Shop, *adjustments: dict[str, Any], **body: Any) -> Answered:
    return shop.api.post(ADJUSTMENTS, {"adjustments": list(adjustments), **body})


def test_a_product_is_what_was_sent(shop: Shop) -> None:
    body = {
        "name": "Linen shirt",
        "description": "Cool",
        "sku": "LIN",
        "price": Decimal("49.90"),
        "compare_price": Decimal("60.00"),
        "cost_price": Decimal("20.05"),
        "status": "active",
        "tags": ["linen", "summer"],
        "seo": {"title": "Shirt", "slug": "shirt"},
        "external_id": "ext-1",
        "category_ids": [category(shop, "shirts")],
        "variants": [
            {
                "title": "M",
                "sku": "LIN-M",
                "options": [{"name": "Size", "value": "M"}],
                "inventory": {"quantity": 3, "low_stock_alert": 2},
            },
            {"title": "L", "price": Decimal("55.00"), "inventory": {"quantity": 4}},
        ],
    }
    made = shop.api.post(PRODUCTS, body)
    product = made.json
    for name in ("name", "description", "sku", "price", "compare_price", "cost_price"):
        assert product[name] == body[name]
    assert product["tags"] == body["tags"]
    assert product["seo"] == {"title": "Shirt", "description": None, "slug": "shirt"}
    assert [c["slug"] for c in product["categories"]] == ["shirts"]
    assert [(v["title"], v["sku"], v["price"]) for v in product["variants"]] == [
        ("M", "LIN-M", Decimal("49.90")),
        ("L", "LIN", Decimal("55.00")),
    ]
    assert product["inventory"]["quantity"] == 7
    assert product["is_in_stock"] is True
    assert shop.api.get(made.headers["Location"]).body == made.body
    # variants without a price of their own follow the product's
    changed = shop.api.patch(made.headers["Location"], {"price": Decimal("10.00"), "tags": []})
    assert [v["price"] for v in changed.json["variants"]] == [Decimal("10.00"), Decimal("55.00")]
    assert changed.json["tags"] == []
    assert changed.json["updated_at"] > product["updated_at"]
    assert changed.json["description"] == "Cool"
    for taken, code in [({"sku": "LIN"}, "sku_taken"), ({"external_id": "ext-1"}, None)]:
        refused = shop.api.post(PRODUCTS, {"name": "Other", "price": 1, **taken})
        assert (refused.status, refused.code) == (409, code or "external_id_taken")


def test_what_a_product_lacks_is_there_as_null(shop: Shop) -> None:
    product = shop.api.post(PRODUCTS, {"name": "Plain", "price": 1, "seo": {"title": None}}).json
    assert product["seo"] == {"title": None, "description": None, "slug": None}
    assert product["inventory"]["low_stock_alert"] is None
    assert (product["images"], product["categories"], product["tags"]) == ([], [], [])
    for name in ("sku", "compare_price", "cost_price", "external_id", "conversion_rate"):
        assert product[name] is None, name


@pytest.mark.parametrize("path", [PRODUCTS, CUSTOMERS])
def test_a_tag_is_kept_once_where_it_came_first(shop: Shop, path: str) -> None:
    named = {"name": "Mug", "price": 1} if path == PRODUCTS else {"first_name": "Ada"}
    made = shop.api.post(path, {**named, "tags": ["b", "a", "b", "B"]})
    assert made.json["tags"] == ["b", "a", "B"]


def test_a_part_of_seo_is_changed_alone(shop: Shop) -> None:
    product = shop.product(seo={"title": "Mug", "slug": "mug"})
    url = f"{PRODUCTS}/{product['id']}"
    bulk = f"{PRODUCTS}/bulk-update"
    changed = shop.api.patch(url, {"seo": {"description": "Big"}}).json["seo"]
    assert changed == {"title": "Mug", "description": "Big", "slug": "mug"}
    shop.api.put(bulk, {"products": [{"id": product["id"], "seo": {"slug": None, "title": "M"}}]})
    assert shop.api.get(url).json["seo"] == {"title": "M", "description": "Big", "slug": None}
    # what a product answers can be sent back as it is
    assert shop.api.patch(url, {"seo": shop.api.get(url).json["seo"]}).json["seo"]["title"] == "M"
    for seo, left in (({"slug": "m"}, "m"), ({}, None)):
        replaced = shop.api.put(url, {"name": "Mug", "price": 1, "seo": seo}).json["seo"]
        assert replaced == {"title": None, "description": None, "slug": left}


def test_variants_to_create_can_be_told_apart(shop: Shop) -> None:
    small, red = {"name": "Size", "value": "S"}, {"name": "Colour", "value": "Red"}
    cases: list[tuple[list[list[dict[str, str]]], str, str]] = [
        ([[small, red], [red, small]], "options_repeated", "/variants/1/options"),
        ([[red], [small, small]], "option_named_twice", "/variants/1/options"),
        ([[], [small], [small]], "options_repeated", "/variants/2/options"),
    ]
    for given, code, pointer in cases:
        variants = [{"title": "V", "options": options} for options in given]
        refused = shop.api.post(PRODUCTS, {"name": "Shirt", "price": 1, "variants": variants})
        assert (refused.status, refused.code) == (422, code)
        assert [error["pointer"] for error in refused.json["errors"]] == [pointer]
    plain = [{"title": "A"}, {"title": "B"}, {"title": "C", "options": [red]}]
    assert shop.api.post(PRODUCTS, {"name": "S", "price": 1, "variants": plain}).status == 201


def test_products_are_found_by_what_they_are(shop: Shop) -> None:
    clothes = category(shop, "clothes")
    shirts = category(shop, "shirts", clothes)
    small = {"title": "S", "sku": "Kx-9"}
    shop.product("10.00", name="shirt", tags=["a", "b"], category_ids=[shirts], variants=[small])
    shop.product("20.00", name="coat", tags=["b"], category_ids=[clothes], external_id="c-1")
    shop.product("30.00", name="mug", status="draft")
    mug = shop.api.get(PRODUCTS, query={"status": "draft"}).json["data"][0]
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {"shirt", "coat", "mug"}),
        ({"status": "active"}, {"shirt", "coat"}),
        ({"status": ["active", "draft"]}, {"shirt", "coat", "mug"}),
        ({"category": "clothes"}, {"shirt", "coat"}),
        ({"category": shirts}, {"shirt"}),
        ({"category": "nothing"}, set()),
        ({"min_price": "20"}, {"coat", "mug"}),
        ({"max_price": "20.00"}, {"shirt", "coat"}),
        ({"min_price": "10.01", "max_price": "29.99"}, {"coat"}),
        ({"tags": "b"}, {"shirt", "coat"}),
        ({"tags": ["a", "b"]}, {"shirt"}),
        ({"external_id": "c-1"}, {"coat"}),
        ({"search": "shi"}, {"shirt"}),
        ({"search": "SHÏRT a"}, {"shirt"}),
        ({"search": "Kx-9"}, {"shirt"}),
        ({"search": "kX-9"}, set()),
        ({"search": "b", "min_price": "15"}, {"coat"}),
        ({"search": "mug", "status": "active"}, set()),
        ({"search": "hirt"}, set()),
        ({"created_after": mug["created_at"]}, set()),
        ({"created_before": mug["created_at"]}, {"shirt", "coat"}),
    ]
    for query, found in cases:
        assert names(shop, **query) == found, query
        total = shop.api.get(PRODUCTS, query={**query, "include_total": "true"}).json["total"]
        assert total == len(found)


def test_a_product_never_sold_can_be_deleted(app: App, shop: Shop) -> None:
    path = f"{PRODUCTS}/{shop.product()['id']}"
    assert shop.api.delete(path).status == 204
    assert shop.api.get(path).status == 404
    assert shop.api.delete(path).status == 404
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        assert session.execute(text("SELECT count(*) FROM stock_levels")).scalar() == 0


def test_stock_of_a_product_with_variants_is_in_the_variants(shop: Shop) -> None:
    variant = {"title": "M", "inventory": {"quantity": 2}}
    body = {"name": "Shirt", "price": 1, "variants": [variant], "inventory": {"quantity": 7}}
    refused = shop.api.post(PRODUCTS, body)
    assert (refused.status, refused.code) == (422, "inventory_of_variants")
    assert refused.json["errors"][0]["pointer"] == "/inventory"


def test_a_category_is_named_by_id_or_slug(shop: Shop) -> None:
    shirts = category(shop, "shirts")
    shop.product(name="Shirt", category_ids=[shirts])
    # a slug that looks like the id of another
    shop.product(name="Odd", category_ids=[category(shop, str(uuid4()))])
    assert names(shop, category=shirts) == names(shop, category="shirts") == {"Shirt"}
    assert names(shop, category=str(uuid4())) == names(shop, category="none") == set()


def test_stock_is_adjusted_all_or_nothing(app: App, shop: Shop) -> None:
    first = shop.product(quantity=5)["variants"][0]["id"]
    second = shop.product(quantity=5)["variants"][0]["id"]
    shelf = shop.api.post("/api/v1/locations", {"name": "Shelf", "code": "shelf"}).json["id"]
    answered = adjust(
        shop,
        {"variant_id": first, "delta": -2},
        {"variant_id": second, "quantity": 9, "expected_quantity": 5},
        {"variant_id": first, "location_id": shelf, "quantity": 4},
        note="Stocktake",
    )
    assert [(a["old_quantity"], a["new_quantity"]) for a in answered.json["adjustments"]] == [
        (5, 3),
        (5, 9),
        (0, 4),
    ]
    refusals: list[tuple[dict[str, Any], int, str]] = [
        ({"variant_id": second, "delta": -10}, 409, "stock_below_zero"),
        ({"variant_id": second, "delta": 1, "expected_quantity": 5}, 409, "unexpected_quantity"),
        ({"variant_id": str(uuid4()), "delta": 1}, 422, "variant_not_found"),
        (
            {"variant_id": second, "delta": 1, "location_id": str(uuid4())},
            422,
            "location_not_found",
        ),
        ({"variant_id": second}, 422, "validation_failed"),
        ({"variant_id": second, "delta": 1, "quantity": 1}, 422, "validation_failed"),
        ({"variant_id": first, "delta": 2}, 422, "validation_failed"),
        ({"variant_id": second, "delta": 0.5}, 422, "validation_failed"),
        ({"variant_id": second, "quantity": -1}, 422, "validation_failed"),
        ({"variant_id": second, "quantity": 2**31}, 422, "validation_failed"),
    ]
    for bad, status, code in refusals:
        refused = adjust(shop, {"variant_id": first, "delta": 1}, bad)
        assert (refused.status, refused.code) == (status, code), bad
        if code == "location_not_found":
            pointers = [error["pointer"] for error in refused.json["errors"]]
            assert pointers == ["/adjustments/1/location_id"]
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        levels = session.execute(text("SELECT sum(quantity) FROM stock_levels")).scalar()
        ledger = session.execute(text("SELECT sum(quantity_delta) FROM stock_movements")).scalar()
        reasons = session.execute(text("SELECT DISTINCT reason FROM stock_movements")).scalars()
        assert set(reasons) == {"adjusted"}
    assert levels == ledger == 3 + 9 + 4


def test_reserved_stock_cannot_be_adjusted_away(shop: Shop) -> None:
    variant_id = shop.product(quantity=5)["variants"][0]["id"]
    shop.order((variant_id, 3))
    assert adjust(shop, {"variant_id": variant_id, "quantity": 2}).code == "stock_below_zero"
    assert adjust(shop, {"variant_id": variant_id, "quantity": 3}).status == 200


def test_stock_lies_at_locations_and_orders_take_it_where_it_is(shop: Shop) -> None:
    variant_id = shop.product(quantity=1)["variants"][0]["id"]
    shelf = shop.api.post("/api/v1/locations", {"name": "Shelf", "code": "shelf"}).json["id"]
    adjust(shop, {"variant_id": variant_id, "location_id": shelf, "quantity": 5})
    assert shop.order((variant_id, 3)).status == 201
    levels = shop.api.get("/api/v1/inventory", query={"variant_id": variant_id}).json["data"]
    by_place = {level["location_id"] == shelf: level["reserved_quantity"] for level in levels}
    assert by_place == {True: 3, False: 0}
    assert shop.order((variant_id, 1)).status == 201
    # six lie there in all, but nowhere three that are free
    assert shop.order((variant_id, 3)).code == "out_of_stock"


ODD = 'a "b" \\c {d} [e], \t\n é €'


def test_text_comes_back_as_it_was_sent_whatever_it_holds(shop: Shop) -> None:
    kept = shop.api.post(CATEGORIES, {"name": ODD, "slug": f"odd-{uuid4().hex}"}).json
    variant = {"title": ODD, "sku": ODD, "options": [{"name": ODD, "value": ODD}]}
    body = {
        "name": ODD,
        "description": ODD,
        "price": Decimal("1.00"),
        "tags": [ODD],
        "tax_class": "reduced",
        "seo": {"title": ODD, "description": ODD},
        "external_id": ODD,
        "variants": [variant, {"title": "without anything"}],
    }
    product = shop.api.post(PRODUCTS, {**body, "category_ids": [kept["id"]]}).json
    path = f"{PRODUCTS}/{product['id']}"
    shop.api.post(f"{path}/images", {"url": "https://x.example/?q=%22", "alt_text": ODD})
    found = shop.api.get(path).json
    for name in ("name", "description", "tags", "tax_class", "external_id"):
        assert found[name] == body[name], name
    assert found["seo"] == {"title": ODD, "description": ODD, "slug": None}
    assert found["categories"] == [{"id": kept["id"], "name": ODD, "slug": kept["slug"]}]
    assert found["images"][0]["alt_text"] == ODD
    first, second = found["variants"]
    assert {name: first[name] for name in variant} == variant
    assert (second["sku"], second["options"], second["weight_grams"]) == (None, [], None)
    listed = shop.api.get(PRODUCTS, query={"external_id": ODD}).json["data"]
    assert listed == [found]


def test_customers_are_made_found_changed_and_deleted(shop: Shop) -> None:
    body = {
        "email": "Ada@Example.com",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "phone": "+39 011",
        "tags": ["vip"],
        "external_id": "c-1",
    }
    made = shop.api.post(CUSTOMERS, body)
    path = made.headers["Location"]
    assert made.json["email"] == "ada@example.com"
    for query, count in [
        ({"email": "ADA@example.com"}, 1),
        ({"email": "b@example.com"}, 0),
        ({"tags": "vip"}, 1),
        ({"tags": ["vip", "x"]}, 0),
    ]:
        assert len(shop.api.get(CUSTOMERS, query=query).json["data"]) == count
    refused = shop.api.post(CUSTOMERS, {"email": "ada@example.com"})
    assert (refused.status, refused.code) == (409, "email_taken")
    changed = shop.api.patch(path, {"email": None, "tags": []}).json
    assert (changed["email"], changed["tags"]) == (None, [])
    assert changed["first_name"] == "Ada"
    assert shop.api.delete(path).status == 204
    assert shop.api.get(path).status == 404


@pytest.mark.parametrize("kind", ["products", "categories", "customers"])
def test_changes_are_announced_and_audited(app: App, shop: Shop, kind: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "products": {"name": "A", "price": 1},
        "categories": {"name": "A", "slug": "a"},
        "customers": {"first_name": "A", "email": "secret@example.com"},
    }
    noun = {"products": "product", "categories": "category", "customers": "customer"}[kind]
    headers = {"X-Request-ID": "traced-1"}
    made = shop.api.post(f"/api/v1/{kind}", bodies[kind], headers=headers).json
    name = "first_name" if kind == "customers" else "name"
    shop.api.patch(f"/api/v1/{kind}/{made['id']}", {name: "B"}, headers=headers)
    shop.api.delete(f"/api/v1/{kind}/{made['id']}", headers=headers)
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        events = session.execute(
            text(
                "SELECT type, subject_id FROM events WHERE request_id = 'traced-1'"
                " ORDER BY sequence"
            )
        ).all()
        audits = session.execute(
            text(
                "SELECT action, actor, changes::text FROM audit_entries"
                " WHERE request_id = 'traced-1' ORDER BY id"
            )
        ).all()
    expected = [f"{noun}_{verb}" for verb in ("created", "updated", "deleted")]
    assert [event.type for event in events] == expected
    assert {str(event.subject_id) for event in events} == {made["id"]}
    assert [audit.action for audit in audits] == expected
    assert all(audit.actor.startswith("api_key:") for audit in audits)
    assert not any("secret@example.com" in audit.changes for audit in audits)


def test_put_replaces_a_product_and_keeps_its_variants(shop: Shop) -> None:
    made = shop.product(tags=["a"], description="x", category_ids=[category(shop, "put")])
    path = f"{PRODUCTS}/{made['id']}"
    replaced = shop.api.put(path, {"name": "New", "price": Decimal("5.00")}).json
    assert (replaced["name"], replaced["description"], replaced["tags"]) == ("New", "", [])
    assert (replaced["status"], replaced["categories"]) == ("draft", [])
    assert [row["id"] for row in replaced["variants"]] == [row["id"] for row in made["variants"]]
    assert shop.api.put(path, {"name": "New"}).json["errors"][0]["pointer"] == "/price"


def test_products_are_found_by_stock_and_variants(shop: Shop) -> None:
    def make(name: str, *inventories: dict[str, Any]) -> dict[str, Any]:
        variants = [
            {"title": str(index), "inventory": inventory}
            for index, inventory in enumerate(inventories)
        ]
        body = {"name": name, "price": 1, "status": "active", "tags": ["of-stock"]}
        found: dict[str, Any] = shop.api.post(PRODUCTS, {**body, "variants": variants}).json
        return found

    make("none", {"quantity": 0})
    make("one of two", {"quantity": 0}, {"quantity": 1})
    make("never counted", {"track_quantity": False})
    make("on order", {"allow_backorder": True})
    held = make("held", {"quantity": 2})
    shop.order((held["variants"][0]["id"], 2))
    here = {"tags": "of-stock", "limit": 100}
    found = shop.api.get(PRODUCTS, query=here).json["data"]
    assert names(shop, **here, in_stock="true") == {"one of two", "never counted", "on order"}
    assert names(shop, **here, in_stock="false") == {"none", "held"}
    # the filter and what a product says of itself are one
    assert names(shop, **here, in_stock="true") == {p["name"] for p in found if p["is_in_stock"]}
    assert names(shop, **here, has_variants="true") == {"one of two"}
    assert names(shop, **here, has_variants="false", in_stock="true") == {
        "never counted",
        "on order",
    }
