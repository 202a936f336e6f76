"""The largest tenant's orders in Postgres, as the lake has them.

Belongs here: COPY from the lake's files into the product's own tables. Does not: what is asked of
them (postgres_dashboard.py), and measuring.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import psycopg

from analytics.lake import Lake, Snapshot
from benchmarks.lake_data import LAST_DAY, LakeData
from benchmarks.lake_rows import FIRST_DAY, midnight
from benchmarks.lake_shop import AS_OF
from benchmarks.servers import Stores

# Postgres table → (lake table, columns by their expressions over the lake's)
COPIES: dict[str, tuple[str, dict[str, str | pl.Expr]]] = {
    "customers": (
        "dim_customers",
        {"id": "customer_id", "created_at": "created_at", "updated_at": "created_at"},
    ),
    "categories": (
        "dim_products",
        {
            "id": "category_id",
            "name": "category_name",
            "slug": "category_id",
            "created_at": "created_at",
            "updated_at": "created_at",
        },
    ),
    "products": (
        "dim_products",
        {
            "id": "product_id",
            "name": "name",
            "sku": "sku",
            "price": "price",
            "currency": "currency",
            "status": "status",
            "created_at": "created_at",
            "updated_at": "created_at",
        },
    ),
    "product_categories": (
        "dim_products",
        {"product_id": "product_id", "category_id": "category_id"},
    ),
    "variants": (
        "dim_variants",
        {
            "id": "variant_id",
            "product_id": "product_id",
            "title": "title",
            "created_at": "created_at",
            "updated_at": "created_at",
        },
    ),
    "orders": (
        "orders",
        {
            "id": "order_id",
            "number": "number",
            "customer_id": "customer_id",
            "status": "status",
            "payment_status": "payment_status",
            "fulfillment_status": "fulfillment_status",
            "channel": "channel",
            "currency": "currency",
            "base_currency": "base_currency",
            "exchange_rate": "exchange_rate",
            "subtotal": "gross_sales",
            "discount_total": "discounts",
            "shipping_total": "shipping",
            "tax_total": "taxes",
            "total": "total",
            "refunded_total": "refunded_total",
            "placed_at": "placed_at",
            "completed_at": "completed_at",
            "cancelled_at": "cancelled_at",
            "created_at": "placed_at",
            "updated_at": "placed_at",
        },
    ),
    "order_lines": (
        "order_lines",
        {
            "id": "line_id",
            "order_id": "order_id",
            "position": pl.int_range(pl.len()).over("order_id"),
            "product_id": "product_id",
            "variant_id": "variant_id",
            "title": pl.lit("A good thing"),
            "quantity": "quantity",
            "unit_price": "unit_price",
            "subtotal": "gross_sales",
            "discount_total": "discounts",
            "tax_total": "taxes",
            "total": "total",
        },
    ),
    "payments": (
        "payments",
        {
            "id": "payment_id",
            "order_id": "order_id",
            "provider": "provider",
            "method": "method",
            "status": "status",
            "amount": "amount",
            "currency": "currency",
            "created_at": "created_at",
        },
    ),
}
REFUND_LINES: dict[str, str | pl.Expr] = {
    "id": "refund_id",
    "refund_id": "refund_id",
    "order_line_id": "line_id",
    "quantity": "quantity",
    "amount": "goods_amount",
}


# What is declared beside the tables' constraints: made at once it takes a quarter of the time that
# it takes row by row.
INDEXES = """
SELECT i.schemaname || '.' || i.indexname, i.indexdef FROM pg_indexes i
WHERE i.tablename = ANY(%s) AND NOT EXISTS (
    SELECT FROM pg_constraint c WHERE c.conname = i.indexname)
"""


def copy_orders(
    stores: Stores,
    data: LakeData,
    start: datetime = midnight(FIRST_DAY),
    end: datetime = midnight(LAST_DAY),
) -> int:
    """What the largest tenant has into the product's tables, indexes and all; how many orders.

    Of the orders those placed in [start, end); the catalogue and the customers are all there.
    """
    tenant_id = data.tenant_ids[0]
    lake = Lake(data.location)
    snapshot = Snapshot(1, AS_OF, data.versions)
    orders = 0

    def periods(table: str) -> Iterator[pl.DataFrame]:
        files = lake.files(table, snapshot, str(tenant_id), start, end)
        return _periods(files, start, end)

    url = stores.postgres.server.get_uri(database="shop")
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '512MB'")
        with _without_indexes(connection, [*COPIES, "refunds", "refund_lines"]):
            for table, (source, columns) in COPIES.items():
                for rows in periods(source):
                    chosen = rows.select(**columns)
                    whole = chosen.unique("id") if table == "categories" else chosen
                    _copy(connection, table, tenant_id, whole)
                    orders += whole.height if table == "orders" else 0
            for rows in periods("refunds"):
                _copy_refunds(connection, tenant_id, rows)
    stores.psql("VACUUM ANALYZE")
    return orders


def _periods(files: list[str], start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
    """The rows of one period after the other."""
    folders = dict.fromkeys(str(Path(file).parent) for file in files)
    for folder in folders:
        own = [file for file in files if str(Path(file).parent) == folder]
        rows = pl.read_parquet(own, hive_partitioning=False)
        if "placed_at" in rows.columns:
            rows = rows.filter(pl.col("placed_at").is_between(start, end, closed="left"))
        yield rows


@contextmanager
def _without_indexes(connection: psycopg.Connection[Any], tables: list[str]) -> Iterator[None]:
    """The tables without what is declared beside their constraints, which comes back after."""
    indexes = connection.execute(INDEXES, (tables,)).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    yield
    for _, definition in indexes:
        connection.execute(definition)


def _copy_refunds(
    connection: psycopg.Connection[Any], tenant_id: UUID, refunds: pl.DataFrame
) -> None:
    """Rows of the lake's refunds as the two tables they were made from."""
    whole = refunds.group_by("refund_id", "order_id", "currency", "refunded_at").agg(
        (pl.col("goods_amount") + pl.col("tax_amount") + pl.col("shipping_amount")).sum(),
        pl.col("tax_amount").sum(),
        pl.col("shipping_amount").sum(),
    )
    heads = whole.rename({"refund_id": "id", "goods_amount": "amount", "refunded_at": "created_at"})
    _copy(connection, "refunds", tenant_id, heads)
    lines = refunds.filter(pl.col("line_id").is_not_null()).select(**REFUND_LINES)
    _copy(connection, "refund_lines", tenant_id, lines)


def _copy(
    connection: psycopg.Connection[Any], table: str, tenant_id: UUID, rows: pl.DataFrame
) -> None:
    owned = rows.insert_column(0, pl.lit(str(tenant_id)).alias("tenant_id"))
    columns = ", ".join(owned.columns)
    statement = f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)"
    with connection.cursor().copy(statement) as copy:
        for piece in owned.iter_slices(100_000):
            buffer = BytesIO()
            piece.write_csv(buffer, include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
            copy.write(buffer.getvalue())
