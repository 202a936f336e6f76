"""A small shop's catalogue as WooCommerce's exporter writes it; for tests of imports."""

import csv
from collections.abc import Sequence
from pathlib import Path

HEADER = (
    *("ID", "Type", "SKU", "Name", "Published", "Is featured?", "Visibility in catalog"),
    *("Short description", "Description", "Date sale price starts", "Date sale price ends"),
    *("Tax status", "Tax class", "In stock?", "Stock", "Low stock amount", "Backorders allowed?"),
    *("Sold individually?", "Weight (kg)", "Length (cm)", "Width (cm)", "Height (cm)"),
    *("Allow customer reviews?", "Purchase note", "Sale price", "Regular price", "Categories"),
    *("Tags", "Shipping class", "Images", "Download limit", "Download expiry days", "Parent"),
    *("Grouped products", "Upsells", "Cross-sells", "External URL", "Button text", "Position"),
    *("Attribute 1 name", "Attribute 1 value(s)", "Attribute 1 visible", "Attribute 1 global"),
    *("Attribute 2 name", "Attribute 2 value(s)", "Attribute 2 visible", "Attribute 2 global"),
)
PICTURES = "https://pictures.example/"

Row = dict[str, str]
# what every row of the exporter says
EVERY: Row = {
    "Published": "1",
    "Is featured?": "0",
    "Visibility in catalog": "visible",
    "Tax status": "taxable",
    "In stock?": "1",
    "Backorders allowed?": "0",
    "Sold individually?": "0",
    "Allow customer reviews?": "1",
}
GOODS: Sequence[Row] = (
    {
        "ID": "11",
        "Type": "simple",
        "SKU": "LAMP",
        "Name": "Desk Lamp",
        "Short description": "A lamp.",
        "Description": "<p>It bends.</p>",
        "Stock": "4",
        "Low stock amount": "2",
        "Backorders allowed?": "notify",
        "Weight (kg)": "1.25",
        "Sale price": "39.90",
        "Regular price": "49.90",
        "Categories": "Home > Lamps, Nuts\\, bolts",
        "Tags": "light, desk",
        "Images": f"{PICTURES}lamp.jpg, {PICTURES}lamp-2.jpg",
        "Position": "3",
        # says what it is made of, and offers no choice
        "Attribute 1 name": "Material",
        "Attribute 1 value(s)": "Steel, Brass",
    },
    # without a SKU it is known by its ID
    {
        "ID": "12",
        "Type": "variable",
        "Name": "Linen Shirt",
        "Published": "-1",
        "Short description": "Of linen.",
        "Categories": "Clothing",
        "Images": f"{PICTURES}shirt.jpg, {PICTURES}shirt-2.jpg",
        "Attribute 1 name": "Size",
        "Attribute 1 value(s)": "S, M",
        "Attribute 2 name": "Colour",
        "Attribute 2 value(s)": "White",
    },
    {
        "ID": "13",
        "Type": "variation",
        "SKU": "SHIRT-S",
        "Name": "Linen Shirt - S, White",
        "In stock?": "0",
        "Regular price": "60",
        "Images": f"{PICTURES}shirt-s.jpg",
        "Parent": "id:12",
        "Position": "1",
        "Attribute 1 name": "Size",
        "Attribute 1 value(s)": "S",
        "Attribute 2 name": "Colour",
        "Attribute 2 value(s)": "White",
    },
    {
        "ID": "14",
        "Type": "variation",
        "Name": "Linen Shirt - M, White",
        "Sale price": "55",
        "Regular price": "65",
        "Parent": "id:12",
        "Position": "2",
        "Attribute 1 name": "Size",
        "Attribute 1 value(s)": "M",
        "Attribute 2 name": "Colour",
        "Attribute 2 value(s)": "White",
    },
)


def write_woocommerce(folder: Path, rows: Sequence[Row] = GOODS) -> Path:
    """A file of the exporter."""
    path = folder / "wc-product-export.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as handle:
        writer = csv.DictWriter(handle, HEADER, restval="")
        writer.writeheader()
        writer.writerows({**EVERY, **row} for row in rows)
    return path
