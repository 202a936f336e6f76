"""Bad rows of a catalogue: named by file, row and column, and no product comes in by half."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from shop_api.bulk.mapping import load_preset
from shop_api.bulk.rejects import Reject
from tests.factories.imports import fingerprint, import_folder, query
from tests.factories.rows import make_tenant
from tests.factories.shopify import CDN, GOODS, MUG, SOCKS, Row, write_shopify
from tests.fixtures.stores import Database

SHOPIFY = load_preset("shopify")
KEY = "Handle, Option1 Value, Option2 Value, Option3 Value"


def changed(row: int, **fields: str) -> Sequence[Row]:
    """The goods with a row changed; `_` stands for a space."""
    rows = list(GOODS)
    rows[row - 1] = {**rows[row - 1], **{k.replace("_", " "): v for k, v in fields.items()}}
    return rows


def reject(row: int, column: str | None, reason: str) -> Reject:
    return Reject("goods.csv", row, column, reason)


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        # a product that cannot be taken
        (
            changed(2, Variant_Price="15.005"),
            reject(2, "Variant Price", "15.005 has more decimals than the 2 of its currency"),
        ),
        (
            changed(2, Status="lost"),
            reject(2, "Published, Status", "'lost hidden' is not among the values of the mapping"),
        ),
        # a variant that cannot takes its product along
        (
            changed(3, Variant_Price="abc"),
            reject(
                3,
                "Variant Price",
                "'abc' is not an amount of 0 or more with at most 12 digits before the"
                " decimal mark; EUR has 2 decimals, such as 19.90 (decimal mark '.')",
            ),
        ),
        (
            changed(3, Option1_Value="", Option2_Value=""),
            reject(
                3,
                "Option1 Value",
                "it has no options, and others of its product have some",
            ),
        ),
        (
            changed(3, Variant_SKU="MUG-1"),
            reject(3, "Variant SKU", "'MUG-1' is the sku of another row"),
        ),
        (
            changed(2, Option2_Name="Size"),
            reject(2, "Handle", "an option is named twice"),
        ),
    ],
)
def test_a_product_comes_in_whole_or_not_at_all(
    database: Database, tmp_path: Path, rows: Sequence[Row], first: Reject
) -> None:
    tenant_id = make_tenant(database, "EUR")
    write_shopify(tmp_path, rows)
    rejects = import_folder(database, tenant_id, tmp_path, SHOPIFY).rejects.kept
    assert first in rejects
    assert {r.row for r in rejects} >= {2, 3, 4}
    assert query(database, tenant_id, "SELECT external_id FROM products") == [("mug",)]
    for table, count in (("variants", 1), ("product_images", 1), ("stock_levels", 1)):
        assert query(database, tenant_id, f"SELECT count(*) FROM {table}") == [(count,)], table


def test_what_belongs_to_a_refused_product_names_its_row(
    database: Database, tmp_path: Path
) -> None:
    told = "there is no product 'socks' in this import: its row {} of goods.csv was refused"
    for row, bad in (
        # read, checked, and lost with a variant
        (2, changed(2, Status="lost")),
        (2, changed(2, Variant_Price="15.005")),
        (3, changed(3, Variant_Price="abc")),
    ):
        tenant_id = make_tenant(database, "EUR")
        write_shopify(tmp_path, bad)
        rejects = import_folder(database, tenant_id, tmp_path, SHOPIFY).rejects.kept
        assert reject(4, "Handle", told.format(row)) in rejects
    untitled = changed(2, Title="")
    tenant_id = make_tenant(database, "EUR")
    write_shopify(tmp_path, untitled)
    rejects = import_folder(database, tenant_id, tmp_path, SHOPIFY).rejects.kept
    hint = "there is no product 'socks' in this import: no row with a value in Title names it"
    assert reject(2, "Handle", hint) in rejects


def test_a_product_that_lost_a_variant_names_its_row(database: Database, tmp_path: Path) -> None:
    tenant_id = make_tenant(database, "EUR")
    twin = {**SOCKS[1], "Option1 Value": "S", "Option3 Value": "", "Variant Price": "17"}
    write_shopify(tmp_path, [*GOODS, twin])
    rejects = import_folder(database, tenant_id, tmp_path, SHOPIFY).rejects.kept
    assert reject(6, KEY, "socks / S / Red occurs more than once") in rejects
    assert reject(2, None, "refused with its row 6 of goods.csv") in rejects


def test_variants_that_cannot_be_told_apart_are_refused(database: Database, tmp_path: Path) -> None:
    """Their keys differ, and what a buyer chooses does not; here or in the shop."""
    tenant_id = make_tenant(database, "EUR")
    same = "another variant of its product has the same options"
    third = {**SOCKS[1], "Option3 Value": "nameless"}
    write_shopify(tmp_path, [*GOODS, third])
    rejects = import_folder(database, tenant_id, tmp_path, SHOPIFY).rejects.kept
    assert reject(6, "Option1 Value", same) in rejects
    write_shopify(tmp_path, GOODS)
    import_folder(database, tenant_id, tmp_path, SHOPIFY)
    before = fingerprint(database, tenant_id)
    write_shopify(tmp_path, [MUG, SOCKS[0], third])
    rejects = import_folder(database, tenant_id, tmp_path, SHOPIFY).rejects.kept
    assert reject(3, "Option1 Value", same) in rejects
    assert fingerprint(database, tenant_id) == before


def test_a_variant_without_a_price_of_its_own_has_its_products(
    database: Database, tmp_path: Path
) -> None:
    tenant_id = make_tenant(database, "EUR")
    write_shopify(tmp_path, changed(3, Variant_Price=""))
    assert import_folder(database, tenant_id, tmp_path, SHOPIFY).rejects.kept == []
    assert query(
        database,
        tenant_id,
        "SELECT title, COALESCE(v.price, p.price)::int, v.price IS NULL FROM variants v"
        " JOIN products p ON p.id = v.product_id WHERE p.external_id = 'socks' ORDER BY title",
    ) == [("L / Red", 15, True), ("S / Red", 15, True)]


def test_images_and_stock_are_refused_by_themselves(database: Database, tmp_path: Path) -> None:
    tenant_id = make_tenant(database, "EUR")
    rows = [
        *changed(4, Image_Src="ftp://x.example/1.jpg"),
        {"Handle": "hat", "Image Src": CDN + "hat.jpg"},
        {"Handle": "", "Image Src": CDN + "nobody.jpg"},
    ]
    rows[1] = {**rows[1], "Variant Inventory Qty": "-2"}
    rows.insert(4, {"Handle": "mug", "Image Src": "https://x.example/a b.jpg"})
    write_shopify(tmp_path, rows)
    assert import_folder(database, tenant_id, tmp_path, SHOPIFY).rejects.kept == [
        reject(2, "Variant Inventory Qty", "'-2' is not a whole number from 0 to 2000000000"),
        reject(
            4,
            "Image Src",
            "'ftp://x.example/1.jpg' is not a web address: http:// or https://",
        ),
        reject(
            5,
            "Image Src",
            "'https://x.example/a b.jpg' must be percent-encoded: no spaces, quotes, <, > or"
            " characters beyond ASCII",
        ),
        reject(8, "Handle", "product is required"),
        reject(
            7,
            "Handle",
            "there is no product 'hat' in this import: no row with a value in Title names it",
        ),
    ]
    assert query(database, tenant_id, "SELECT count(*) FROM products") == [(2,)]
    assert query(database, tenant_id, "SELECT count(*) FROM product_images") == [(3,)]


def test_a_product_has_at_most_a_hundred_images(database: Database, tmp_path: Path) -> None:
    tenant_id = make_tenant(database, "EUR")
    more = [{"Handle": "mug", "Image Src": f"{CDN}{n}.jpg"} for n in range(99)]
    write_shopify(tmp_path, [MUG, *more, {"Handle": "mug", "Image Src": CDN + "surplus.jpg"}])
    full = "with it the product has more than 100 images"
    rejects = import_folder(database, tenant_id, tmp_path, SHOPIFY).rejects.kept
    assert rejects == [reject(101, "Image Src", full)]
    before = fingerprint(database, tenant_id)
    # full in the shop; those it has can be named again
    write_shopify(tmp_path, [MUG, more[0], {"Handle": "mug", "Image Src": CDN + "late.jpg"}])
    rejects = import_folder(database, tenant_id, tmp_path, SHOPIFY).rejects.kept
    assert rejects == [reject(3, "Image Src", full)]
    assert fingerprint(database, tenant_id) == before


def test_a_category_that_is_not_known_is_refused(database: Database, tmp_path: Path) -> None:
    """Too deep a path is refused, and the product in it with its reason."""
    tenant_id = make_tenant(database, "EUR")
    path = " > ".join(f"L{level}" for level in range(1, 12))
    mug = {**MUG, "Product Category": path}
    cup = {**mug, "Handle": "cup", "Variant SKU": "CUP-1", "Image Src": CDN + "cup.jpg"}
    write_shopify(tmp_path, [mug, cup, *SOCKS])
    rejects = import_folder(database, tenant_id, tmp_path, SHOPIFY).rejects.kept
    label = "Product Category, Type"
    assert rejects[0] == reject(
        1,
        label,
        f"'{path[:-6]}' is not known, lies on level 10 or below, or its ancestors form a circle",
    )
    assert rejects[1:] == [reject(2, label, f"there is no category '{path}'")]
    assert query(database, tenant_id, "SELECT external_id FROM products") == [("socks",)]


def test_each_value_of_a_row_that_cannot_be_read_is_named(
    database: Database, tmp_path: Path
) -> None:
    bad = {**MUG, "Variant Price": "abc", "Variant Inventory Qty": "-3", "Image Src": "nowhere"}
    write_shopify(tmp_path, (bad, *SOCKS))
    rejects = import_folder(database, make_tenant(database, "EUR"), tmp_path, SHOPIFY).rejects
    assert sorted({(r.row, r.column) for r in rejects.kept}) == [
        (1, "Image Src"),
        (1, "Variant Inventory Qty"),
        (1, "Variant Price"),
    ]
    assert len(rejects.kept) == 3
