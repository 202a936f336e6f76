"""A small shop's export, as files an import reads; for tests of imports."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl

Rows = Sequence[dict[str, str]]

MAPPING = """
name: corner_shop
timezone: tenant
time_format: "%d/%m/%Y %H:%M"
decimal_mark: "."
files:
  products: {name: "products.{ending}"}
  customers: {name: "customers.{ending}"}
  orders: {name: "orders.{ending}"}
  lines: {name: "lines.{ending}"}
  payments: {name: "payments.{ending}"}
  refunds: {name: "refunds.{ending}"}
entities:
  categories:
    from: products
    only_if: shelf
    duplicates: first
    fields: {external_id: shelf, name: shelf}
  products:
    from: products
    fields:
      external_id: code
      name: title
      price: price
      category: shelf
      tags: {column: labels, list_separator: "|"}
      track_quantity: {constant: true}
  stock:
    from: products
    fields: {variant: code, quantity: on_hand}
  customers:
    from: customers
    fields: {external_id: id, email: mail, first_name: name, address_city: town}
  orders:
    from: orders
    fields:
      external_id: number
      customer: buyer
      status:
        column: state
        values: {open: pending, done: completed, void: cancelled}
      placed_at: at
      shipping_total: {column: postage, default: 0}
      discount_total: {column: rebate, default: 0}
  order_lines:
    from: lines
    fields: {order: number, external_id: line, product: code, quantity: pieces, unit_price: each}
  payments:
    from: payments
    fields: {order: number, external_id: receipt, method: how, amount: sum}
  refunds:
    from: refunds
    fields:
      order: number
      external_id: slip
      line: line
      quantity: pieces
      amount: sum
      created_at: at
"""


def _rows(header: str, *lines: str) -> Rows:
    """Rows written as a table, cells separated by `;`."""
    names = header.split(";")
    return [dict(zip(names, line.split(";"), strict=True)) for line in lines]


PRODUCTS = _rows(
    "code;title;price;shelf;labels;on_hand",
    "P1;Mug;9.50;Kitchen;a|b;7",
    "P2;Lamp;49.00;Home;;0",
    "P3;Rug;120.00;;;1",
)
CUSTOMERS = _rows(
    "id;mail;name;town",
    "C1;Ada@Example.com;Ada;Turin",
    "C2;;Ben;",
)
ORDERS = _rows(
    "number;buyer;state;at;postage;rebate",
    "A1;C1;done;24/11/2025 10:00;4.90;5.00",
    "A2;C2;open;25/11/2025 11:30;;",
    "A3;;void;26/11/2025 09:15;;",
)
LINES = _rows(
    "number;line;code;pieces;each",
    "A1;A1-1;P1;2;9.50",
    "A1;A1-2;P2;1;45.00",
    "A2;A2-1;P3;1;120.00",
    "A3;A3-1;P1;1;9.50",
)
PAYMENTS = _rows(
    "number;receipt;how;sum",
    "A1;R1;card;63.90",
    "A2;R2;cash;20.00",
)
REFUNDS = _rows(
    "number;slip;line;pieces;sum;at",
    "A1;S1;A1-2;1;10.00;01/12/2025 08:00",
)
TABLES: dict[str, Rows] = {
    "products": PRODUCTS,
    "customers": CUSTOMERS,
    "orders": ORDERS,
    "lines": LINES,
    "payments": PAYMENTS,
    "refunds": REFUNDS,
}


def mapping_text(ending: str = "csv") -> str:
    """The corner shop's mapping for files of one kind."""
    return MAPPING.replace("{ending}", ending)


def write_table(folder: Path, name: str, rows: Rows, ending: str = "csv") -> Path:
    """One file of an export."""
    path = folder / f"{name}.{ending}"
    if ending == "csv":
        with path.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif ending == "ndjson":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    else:
        pl.DataFrame(list(rows)).write_parquet(path)
    return path


def write_export(folder: Path, ending: str = "csv", **changes: Rows) -> Path:
    """The corner shop's whole export, some of its tables replaced."""
    for name, rows in {**TABLES, **changes}.items():
        write_table(folder, name, rows, ending)
    return folder
