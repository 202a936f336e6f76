"""Shopify's product CSV comes in by its preset alone, and is read through the API."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shop_api.app import App
from shop_api.bulk.mapping import load_preset
from shop_api.kernel.clock import utc_now
from tests.api.test_bulk_import import send as send_products
from tests.factories.imports import fingerprint, import_folder
from tests.factories.shopify import CDN, MUG, SOCKS, write_shopify
from tests.fixtures.api import Shop
from tests.fixtures.imports import new_runner, send
from tests.fixtures.stores import Database

REAL = Path("../shared/data/shopify-products")
SHOPIFY = load_preset("shopify")


def catalogue(shop: Shop) -> dict[str, Any]:
    """The shop's products by their handle."""
    pages = shop.api.get("/api/v1/products", query={"limit": 100}).json["data"]
    return {product["external_id"]: product for product in pages}


def amounts(product: Any) -> list[Decimal | None]:
    """Its price, the one it is compared with, and its cost."""
    found = [product[name] for name in ("price", "compare_price", "cost_price")]
    return [None if amount is None else Decimal(amount) for amount in found]


def test_a_product_is_what_its_rows_say(shop: Shop, database: Database, tmp_path: Path) -> None:
    write_shopify(tmp_path)
    assert import_folder(database, shop.tenant_id, tmp_path, SHOPIFY).rejects.kept == []
    products = catalogue(shop)
    assert sorted(products) == ["mug", "socks"]
    mug, socks = products["mug"], products["socks"]
    assert (mug["name"], mug["status"], mug["description"], mug["tags"]) == (
        "Enamel Mug",
        "active",
        "<p>Keeps warm, briefly.</p>",
        ["camp", "blue"],
    )
    assert amounts(mug) == [Decimal("9.50"), Decimal("12.00"), Decimal("4.25")]
    assert mug["seo"] == {"title": "Enamel mug", "description": "For camps.", "slug": "mug"}
    assert sorted(c["name"] for c in mug["categories"]) == ["Cups, and such", "Mugs"]
    (variant,) = mug["variants"]
    assert (variant["title"], variant["sku"], variant["weight_grams"], variant["options"]) == (
        *("Default", "MUG-1", 121),
        [],
    )
    kept = ("track_quantity", "quantity", "allow_backorder")
    assert [variant["inventory"][name] for name in kept] == [True, 7, True]
    # active, and not published
    assert (socks["status"], socks["seo"]["slug"]) == ("draft", "socks")
    assert [
        (v["title"], Decimal(v["price"]), [(o["name"], o["value"]) for o in v["options"]])
        for v in socks["variants"]
    ] == [
        ("S / Red", Decimal(15), [("Size", "S"), ("Colour", "Red")]),
        ("L / Red", Decimal(16), [("Size", "L"), ("Colour", "Red")]),
    ]
    assert [[v["inventory"][name] for name in kept] for v in socks["variants"]] == [
        [False, 3, False],
        [False, 0, False],
    ]
    assert [(i["position"], i["url"]) for i in socks["images"]] == [
        (0, CDN + "socks-1.jpg"),
        (1, CDN + "socks-2.jpg"),
        (2, CDN + "socks-last.jpg"),
    ]
    assert [(i["alt_text"], i["position"]) for i in mug["images"]] == [("A mug, steaming", 0)]
    tree = {row["external_id"]: row for row in shop.api.get("/api/v1/categories").json["data"]}
    path = "Home & Garden > Kitchen & Dining > Mugs"
    assert tree[path]["parent_id"] == tree["Home & Garden > Kitchen & Dining"]["id"]
    assert sorted(key for key, row in tree.items() if row["parent_id"] is None) == [
        *("Cups, and such", "Home & Garden", "Knits"),
    ]


def test_the_same_file_again_changes_nothing(
    shop: Shop, database: Database, tmp_path: Path
) -> None:
    write_shopify(tmp_path)
    import_folder(database, shop.tenant_id, tmp_path, SHOPIFY)
    before = fingerprint(database, shop.tenant_id)
    write_shopify(tmp_path)
    again = import_folder(database, shop.tenant_id, tmp_path, SHOPIFY).counts["products"]
    assert (again.created, again.updated, again.unchanged) == (0, 0, 2)
    assert fingerprint(database, shop.tenant_id) == before


def test_a_changed_file_changes_what_it_speaks_of(
    shop: Shop, database: Database, tmp_path: Path
) -> None:
    write_shopify(tmp_path)
    import_folder(database, shop.tenant_id, tmp_path, SHOPIFY)
    mug = catalogue(shop)["mug"]
    own = shop.api.post("/api/v1/categories", {"name": "Ours", "slug": "ours"}).json["id"]
    filed = [own, *(category["id"] for category in mug["categories"])]
    path = f"/api/v1/products/{mug['id']}"
    assert shop.api.patch(path, {"category_ids": filed}).status == 200
    picture = {"url": "https://ours.example/mug.jpg", "position": 0}
    assert shop.api.post(f"{path}/images", picture).status == 201
    changed = {
        **MUG,
        "Type": "Gifts",
        "Variant Grams": "130",
        "Variant Inventory Qty": "9",
        "Image Alt Text": "A mug",
        "SEO Description": "",
    }
    extra = {"Handle": "mug", "Image Src": CDN + "mug-2.jpg", "Image Position": "2"}
    # what the file has no column for stays
    write_shopify(tmp_path, (changed, extra, *SOCKS), without=["Tags", "SEO Title"])
    counts = import_folder(database, shop.tenant_id, tmp_path, SHOPIFY).counts["products"]
    assert (counts.created, counts.updated, counts.unchanged) == (0, 1, 1)
    after = catalogue(shop)["mug"]
    assert sorted(category["name"] for category in after["categories"]) == [
        *("Gifts", "Mugs", "Ours"),
    ]
    assert [(i["position"], i["url"], i["alt_text"]) for i in after["images"]] == [
        (0, CDN + "mug.jpg", "A mug"),
        (1, CDN + "mug-2.jpg", ""),
        (2, "https://ours.example/mug.jpg", ""),
    ]
    assert (after["tags"], after["seo"]) == (
        ["camp", "blue"],
        {"title": "Enamel mug", "description": None, "slug": "mug"},
    )
    (variant,) = after["variants"]
    # the shop counts its stock itself by now
    assert (variant["weight_grams"], variant["inventory"]["quantity"]) == (130, 7)


@pytest.mark.parametrize("is_bulk", [False, True])
def test_it_comes_over_http(
    shop: Shop, database: Database, app: App, tmp_path: Path, is_bulk: bool
) -> None:
    path = write_shopify(tmp_path)
    if is_bulk:
        queued = send_products(shop.api, [path], preset="shopify")
    else:
        queued = send(shop.api, tmp_path, preset="shopify")
    assert queued.status == 202, queued.body
    new_runner(database, app).run(utc_now())
    job = shop.api.get(f"/api/v1/jobs/{queued.json['id']}").json
    assert (job["state"], job["error"], job["rejected_count"]) == ("succeeded", None, 0)
    assert job["counts"]["products"]["created"] == 2
    assert len(catalogue(shop)["socks"]["images"]) == 3


@pytest.mark.skipif(not REAL.is_dir(), reason="the data folder is not here")
def test_the_files_that_shopify_publishes_come_in_whole(shop: Shop, database: Database) -> None:
    summary = import_folder(database, shop.tenant_id, REAL, SHOPIFY)
    assert summary.rejects.kept == []
    products = catalogue(shop)
    assert (len(products), sum(len(p["variants"]) for p in products.values())) == (43, 59)
    shirt = products["example-shirt"]
    assert (shirt["name"], shirt["status"], shirt["tags"]) == (
        *("Example T-Shirt", "active"),
        ["Made to Order", "Shirt Tag"],
    )
    assert amounts(shirt) == [25, None, None]
    assert shirt["seo"] == {
        "title": "Example T-Shirt | Test Store",
        "description": "Cotton shirts from our store.",
        "slug": "example-shirt",
    }
    assert sorted(c["name"] for c in shirt["categories"]) == ["Shirts", "T-Shirts"]
    assert [v["title"] for v in shirt["variants"]] == [
        f"{colour} / {size}" for colour in ("Green", "Blue", "Gray", "Purple") for size in "SML"
    ]
    assert shirt["variants"][4]["options"] == [
        {"name": "Color", "value": "Blue"},
        {"name": "Size", "value": "M"},
    ]
    assert {(v["weight_grams"], v["inventory"]["track_quantity"]) for v in shirt["variants"]} == {
        (145, False)
    }
    assert len(shirt["images"]) == 7
    assert shirt["images"][6]["url"].endswith("/test.jpg?v=1753785398")
    pants = products["example-pants"]
    assert (pants["status"], amounts(pants)) == ("draft", [95, Decimal("64.95"), 50])
    assert [
        (v["sku"], v["weight_grams"], v["inventory"]["quantity"], v["inventory"]["track_quantity"])
        for v in pants["variants"]
    ] == [
        ("PNT_DEN_285", 227, 20, True),
        ("PNT_DEN_305", 283, 15, True),
        ("PNT_DEN_405", 397, 10, True),
    ]
    # the last is that of a row without a variant
    assert [i["alt_text"] for i in pants["images"]] == [
        "A rack of jeans",
        *(f"{size} tapered stone wash jeans" for size in ("Small", "Medium", "Large")),
    ]
    hat = products["example-hat"]
    assert (hat["status"], [v["options"] for v in hat["variants"]]) == ("archived", [[]])
    pot = products["clay-plant-pot"]
    assert [c["name"] for c in pot["categories"]] == ["Outdoor"]
    assert [
        (v["title"], Decimal(v["price"]), v["inventory"]["quantity"]) for v in pot["variants"]
    ] == [("Regular", Decimal("9.99"), 1), ("Large", Decimal("15.99"), 3)]
    assert products["ocean-blue-shirt"]["categories"] == []
    # a variant at its product's price follows it, one at its own does not
    for product, paid in ((products["ocean-blue-shirt"], [77]), (pot, [77, Decimal("15.99")])):
        path = f"/api/v1/products/{product['id']}"
        changed = shop.api.patch(path, {"price": 77}).json
        assert [Decimal(v["price"]) for v in changed["variants"]] == paid
        assert shop.api.patch(path, {"price": product["price"]}).status == 200
    before = fingerprint(database, shop.tenant_id)
    again = import_folder(database, shop.tenant_id, REAL, SHOPIFY).counts["products"]
    assert (again.created, again.updated, again.unchanged) == (0, 0, 43)
    assert fingerprint(database, shop.tenant_id) == before
