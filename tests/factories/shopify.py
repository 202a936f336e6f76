"""A small shop's catalogue as Shopify exports it; for tests of imports."""

import csv
from collections.abc import Sequence
from pathlib import Path

HEADER = (
    *("Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published"),
    *("Option1 Name", "Option1 Value", "Option2 Name", "Option2 Value", "Option3 Name"),
    *("Option3 Value", "Variant SKU", "Variant Grams", "Variant Inventory Tracker"),
    *("Variant Inventory Qty", "Variant Inventory Policy", "Variant Fulfillment Service"),
    *("Variant Price", "Variant Compare At Price", "Variant Requires Shipping", "Variant Taxable"),
    *("Variant Barcode", "Image Src", "Image Position", "Image Alt Text", "Gift Card"),
    *("SEO Title", "SEO Description", "Variant Image", "Variant Weight Unit", "Variant Tax Code"),
    *("Cost per item", "Status"),
)
CDN = "https://cdn.example/"

Row = dict[str, str]
# a product that has no options, in one row
MUG: Row = {
    "Handle": "mug",
    "Title": "Enamel Mug",
    "Body (HTML)": "<p>Keeps warm, briefly.</p>",
    "Product Category": "Home & Garden > Kitchen & Dining > Mugs",
    "Type": "Cups, and such",
    "Tags": "camp, blue",
    "Published": "true",
    "Option1 Name": "Title",
    "Option1 Value": "Default Title",
    "Variant SKU": "MUG-1",
    "Variant Grams": "120.5",
    "Variant Inventory Tracker": "shopify",
    "Variant Inventory Qty": "7",
    "Variant Inventory Policy": "continue",
    "Variant Price": "9.50",
    "Variant Compare At Price": "12.00",
    "Image Src": CDN + "mug.jpg",
    "Image Position": "1",
    "Image Alt Text": "A mug, steaming",
    "SEO Title": "Enamel mug",
    "SEO Description": "For camps.",
    "Cost per item": "4.25",
    "Status": "active",
}
# one with two sizes, and pictures in rows of their own; the last of them has no position
SOCKS: Sequence[Row] = (
    {
        "Handle": "socks",
        "Title": "Wool Socks",
        "Type": "Knits",
        "Published": "false",
        "Option1 Name": "Size",
        "Option1 Value": "S",
        "Option2 Name": "Colour",
        "Option2 Value": "Red",
        "Variant Inventory Qty": "3",
        "Variant Inventory Policy": "deny",
        "Variant Price": "15",
        "Image Src": CDN + "socks-2.jpg",
        "Image Position": "2",
        "Status": "active",
    },
    {
        "Handle": "socks",
        "Option1 Value": "L",
        "Option2 Value": "Red",
        "Variant Inventory Qty": "0",
        "Variant Inventory Policy": "deny",
        "Variant Price": "16",
        "Image Src": CDN + "socks-last.jpg",
    },
    {"Handle": "socks", "Image Src": CDN + "socks-1.jpg", "Image Position": "1"},
    {"Handle": "socks", "Image Src": CDN + "socks-2.jpg", "Image Position": "2"},
)
GOODS: Sequence[Row] = (MUG, *SOCKS)


def write_shopify(
    folder: Path, rows: Sequence[Row] = GOODS, name: str = "goods", without: Sequence[str] = ()
) -> Path:
    """A file of an export, some of its columns left out."""
    path = folder / f"{name}.csv"
    columns = [column for column in HEADER if column not in without]
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path
