"""WooCommerce's product CSV comes in by its preset alone, and is read through the API."""

from decimal import Decimal
from pathlib import Path

from shop_api.bulk.mapping import load_preset
from shop_api.bulk.rejects import Reject
from tests.factories.imports import fingerprint, import_folder
from tests.factories.woocommerce import GOODS, PICTURES, write_woocommerce
from tests.fixtures.api import Shop
from tests.fixtures.stores import Database

WOOCOMMERCE = load_preset("woocommerce")


def test_products_and_their_variations(shop: Shop, database: Database, tmp_path: Path) -> None:
    write_woocommerce(tmp_path)
    assert import_folder(database, shop.tenant_id, tmp_path, WOOCOMMERCE).rejects.kept == []
    found = shop.api.get("/api/v1/products").json["data"]
    products = {product["external_id"]: product for product in found}
    assert sorted(products) == ["LAMP", "id:12"]
    lamp, shirt = products["LAMP"], products["id:12"]
    assert (lamp["name"], lamp["status"], lamp["description"], lamp["tags"]) == (
        *("Desk Lamp", "active", "<p>It bends.</p>"),
        ["light", "desk"],
    )
    assert (Decimal(lamp["price"]), Decimal(lamp["compare_price"])) == (
        Decimal("39.90"),
        Decimal("49.90"),
    )
    assert sorted(c["name"] for c in lamp["categories"]) == ["Lamps", "Nuts, bolts"]
    (only,) = lamp["variants"]
    assert (only["title"], only["sku"], only["options"], only["weight_grams"]) == (
        *("Default", "LAMP"),
        [],
        1250,
    )
    kept = ("track_quantity", "quantity", "allow_backorder", "low_stock_alert")
    assert [only["inventory"][name] for name in kept] == [True, 4, True, 2]
    assert [i["url"] for i in lamp["images"]] == [
        PICTURES + "lamp.jpg",
        PICTURES + "lamp-2.jpg",
    ]
    # the least of its variations', and the sale's
    assert (shirt["status"], shirt["description"], Decimal(shirt["price"])) == (
        *("draft", "Of linen."),
        Decimal(55),
    )
    assert shirt["compare_price"] is None
    assert [
        (v["title"], v["sku"], Decimal(v["price"]), [o["value"] for o in v["options"]])
        for v in shirt["variants"]
    ] == [
        ("S / White", "SHIRT-S", Decimal(60), ["S", "White"]),
        ("M / White", None, Decimal(55), ["M", "White"]),
    ]
    # one that is sold out is not for sale, though nobody counts it
    assert [v["inventory"]["track_quantity"] for v in shirt["variants"]] == [True, False]
    assert [i["url"] for i in shirt["images"]] == [
        *(f"{PICTURES}{name}.jpg" for name in ("shirt", "shirt-2", "shirt-s")),
    ]


def test_the_same_again_changes_nothing_and_another_price_one_product(
    shop: Shop, database: Database, tmp_path: Path
) -> None:
    write_woocommerce(tmp_path)
    import_folder(database, shop.tenant_id, tmp_path, WOOCOMMERCE)
    before = fingerprint(database, shop.tenant_id)
    write_woocommerce(tmp_path)
    counts = import_folder(database, shop.tenant_id, tmp_path, WOOCOMMERCE).counts["products"]
    assert (counts.created, counts.updated, counts.unchanged) == (0, 0, 2)
    assert fingerprint(database, shop.tenant_id) == before
    write_woocommerce(tmp_path, [{**GOODS[0], "Sale price": ""}, *GOODS[1:]])
    counts = import_folder(database, shop.tenant_id, tmp_path, WOOCOMMERCE).counts["products"]
    assert (counts.created, counts.updated, counts.unchanged) == (0, 1, 1)


def test_stock_that_variations_share_is_named(
    shop: Shop, database: Database, tmp_path: Path
) -> None:
    write_woocommerce(tmp_path, [*GOODS[:3], {**GOODS[3], "Stock": "parent"}])
    summary = import_folder(database, shop.tenant_id, tmp_path, WOOCOMMERCE)
    assert summary.rejects.kept == [
        Reject(
            "wc-product-export.csv",
            4,
            "Stock",
            "'parent' is not a whole number from 0 to 2000000000",
        )
    ]
