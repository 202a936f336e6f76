"""The largest tenant's orders in Postgres, and the dashboard's figures in plain SQL from them.

Belongs here: COPY from the lake's files into the product's own tables, and the statements a careful
developer would write for the same figures. Does not: measuring.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from types import TracebackType
from typing import Any
from uuid import UUID

import polars as pl
import psycopg

from analytics.lake import Lake, Snapshot
from benchmarks.lake_data import CURRENCY, LakeData
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

SALES = """
WITH returned AS (
    SELECT r.order_id, sum(r.shipping_amount) AS shipping, sum(r.tax_amount) AS taxes,
        sum(r.amount - r.shipping_amount - r.tax_amount) AS goods
    FROM refunds r WHERE r.tenant_id = %(tenant)s GROUP BY r.order_id
)
SELECT date_trunc('month', o.placed_at) AS bucket, o.status, count(*) AS orders,
    sum(u.units) AS units, sum(o.subtotal) AS gross_sales, sum(o.discount_total) AS discounts,
    sum(o.shipping_total) - coalesce(sum(b.shipping), 0) AS shipping,
    sum(o.tax_total) - coalesce(sum(b.taxes), 0) AS taxes, coalesce(sum(b.goods), 0) AS returns
FROM orders o
LEFT JOIN returned b ON b.order_id = o.id
JOIN (SELECT l.order_id, sum(l.quantity) AS units FROM order_lines l
    WHERE l.tenant_id = %(tenant)s GROUP BY l.order_id) u ON u.order_id = o.id
WHERE o.tenant_id = %(tenant)s AND o.currency = %(currency)s
    AND o.placed_at >= %(start)s AND o.placed_at < %(end)s
GROUP BY bucket, o.status
"""
PRODUCTS = """
SELECT p.id, p.name, p.sku, c.name AS category, sum(l.quantity) AS units,
    sum(l.subtotal) AS gross_sales, sum(l.discount_total) AS discounts,
    coalesce(sum(b.goods), 0) AS returns
FROM orders o
JOIN order_lines l ON l.tenant_id = o.tenant_id AND l.order_id = o.id
JOIN products p ON p.tenant_id = l.tenant_id AND p.id = l.product_id
LEFT JOIN product_categories k ON k.tenant_id = p.tenant_id AND k.product_id = p.id
LEFT JOIN categories c ON c.tenant_id = k.tenant_id AND c.id = k.category_id
LEFT JOIN (SELECT order_line_id, sum(amount) AS goods FROM refund_lines
    WHERE tenant_id = %(tenant)s GROUP BY order_line_id) b ON b.order_line_id = l.id
WHERE o.tenant_id = %(tenant)s AND o.currency = %(currency)s AND o.cancelled_at IS NULL
    AND o.placed_at >= %(start)s AND o.placed_at < %(end)s
GROUP BY p.id, p.name, p.sku, c.name ORDER BY gross_sales DESC, p.id
"""
PAYMENTS = """
SELECT y.method, sum(y.amount) AS amount, count(*) AS payments
FROM orders o JOIN payments y ON y.tenant_id = o.tenant_id AND y.order_id = o.id
WHERE o.tenant_id = %(tenant)s AND o.currency = %(currency)s AND o.cancelled_at IS NULL
    AND o.placed_at >= %(start)s AND o.placed_at < %(end)s AND y.status = 'captured'
GROUP BY y.method
"""
CUSTOMERS = """
SELECT count(*) AS customers, count(*) FILTER (WHERE first_order_at >= %(start)s) AS new,
    count(*) FILTER (WHERE orders > 1 OR first_order_at < %(start)s) AS returning
FROM (
    SELECT o.customer_id, count(*) AS orders,
        (SELECT min(f.placed_at) FROM orders f WHERE f.tenant_id = %(tenant)s
            AND f.customer_id = o.customer_id AND f.cancelled_at IS NULL) AS first_order_at
    FROM orders o
    WHERE o.tenant_id = %(tenant)s AND o.currency = %(currency)s AND o.cancelled_at IS NULL
        AND o.placed_at >= %(start)s AND o.placed_at < %(end)s AND o.customer_id IS NOT NULL
    GROUP BY o.customer_id
) c
"""
FULFILLMENT = """
SELECT o.fulfillment_status, count(*) AS orders
FROM orders o
WHERE o.tenant_id = %(tenant)s AND o.currency = %(currency)s AND o.cancelled_at IS NULL
    AND o.placed_at >= %(start)s AND o.placed_at < %(end)s
GROUP BY o.fulfillment_status
"""
CATALOGUE = "SELECT status, count(*) FROM products WHERE tenant_id = %(tenant)s GROUP BY status"
STATEMENTS = (SALES, PRODUCTS, PAYMENTS, CUSTOMERS, FULFILLMENT, CATALOGUE)


def copy_orders(stores: Stores, data: LakeData) -> None:
    """Everything of the largest tenant into the product's tables, indexes and all."""
    tenant_id = data.tenant_ids[0]
    lake = Lake(data.location)
    snapshot = Snapshot(1, AS_OF, data.versions)

    def read(table: str) -> pl.DataFrame:
        files = lake.files(table, snapshot, str(tenant_id))
        return pl.read_parquet(files, hive_partitioning=False)

    url = stores.postgres.server.get_uri(database="shop")
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for table, (source, columns) in COPIES.items():
            rows = read(source).select(**columns)
            unique = rows.unique("id") if table == "categories" else rows
            _copy(connection, table, unique.insert_column(0, _tenant(unique, tenant_id)))
        refunds = read("refunds")
        whole = refunds.group_by("refund_id", "order_id", "currency", "refunded_at").agg(
            (pl.col("goods_amount") + pl.col("tax_amount") + pl.col("shipping_amount")).sum(),
            pl.col("tax_amount").sum(),
            pl.col("shipping_amount").sum(),
        )
        heads = whole.rename(
            {"refund_id": "id", "goods_amount": "amount", "refunded_at": "created_at"}
        )
        _copy(connection, "refunds", heads.insert_column(0, _tenant(heads, tenant_id)))
        lines = refunds.filter(pl.col("line_id").is_not_null()).select(**REFUND_LINES)
        _copy(connection, "refund_lines", lines.insert_column(0, _tenant(lines, tenant_id)))
    stores.psql("VACUUM ANALYZE")


def _tenant(rows: pl.DataFrame, tenant_id: UUID) -> pl.Series:
    return pl.Series("tenant_id", [str(tenant_id)]).new_from_index(0, rows.height)


def _copy(connection: psycopg.Connection[Any], table: str, rows: pl.DataFrame) -> None:
    columns = ", ".join(rows.columns)
    statement = f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)"
    with connection.cursor().copy(statement) as copy:
        for piece in rows.iter_slices(100_000):
            buffer = BytesIO()
            piece.write_csv(buffer, include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
            copy.write(buffer.getvalue())


class PostgresDashboard:
    """One connection that answers the dashboard's figures from the orders."""

    def __init__(self, stores: Stores, tenant_id: UUID) -> None:
        self._connection = psycopg.connect(
            stores.postgres.server.get_uri(database="shop"), autocommit=True, prepare_threshold=None
        )
        self._tenant_id = tenant_id

    def __enter__(self) -> "PostgresDashboard":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def ask(self, start: date, end: date) -> list[list[Any]]:
        """The rows of each of STATEMENTS."""
        parameters = {
            "tenant": self._tenant_id,
            "currency": CURRENCY,
            "start": datetime(start.year, start.month, start.day, tzinfo=UTC),
            "end": datetime(end.year, end.month, end.day, tzinfo=UTC),
        }
        return [self._connection.execute(text, parameters).fetchall() for text in STATEMENTS]

    def compare(self, answer: dict[str, Any], start: date, end: date) -> None:
        """Fail unless both give the same figures."""
        sales, products, payments, customers, fulfillment, catalogue = self.ask(start, end)
        kept = [row for row in sales if row[1] != "cancelled"]
        revenue, orders = answer["revenue"], answer["orders"]
        pairs = {
            "placed orders": (orders["total"], sum(row[2] for row in sales)),
            "units": (revenue["units"], sum(row[3] for row in kept)),
            "gross sales": (revenue["gross_sales"], sum(row[4] for row in kept)),
            "discounts": (revenue["discounts"], sum(row[5] for row in kept)),
            "shipping": (revenue["shipping"], sum(row[6] for row in kept)),
            "taxes": (revenue["taxes"], sum(row[7] for row in kept)),
            "returns": (revenue["returns"], sum(row[8] for row in kept)),
            "top product": (revenue["top_products"][0]["units"], products[0][4]),
            "products sold": (answer["products"]["sold"], len(products)),
            "payments": (
                sum(Decimal(str(row["amount"])) for row in revenue["by_payment_method"]),
                sum(row[1] for row in payments),
            ),
            "customers": (answer["customers"]["total"], customers[0][0]),
            "new customers": (answer["customers"]["new"], customers[0][1]),
            "returning customers": (answer["customers"]["returning"], customers[0][2]),
            "fulfilled": (
                orders["fulfillment_status"]["fulfilled"],
                dict(fulfillment)["fulfilled"],
            ),
            "catalogue": (answer["products"]["active"], dict(catalogue)["active"]),
        }
        wrong = {
            name: (lake, database)
            for name, (lake, database) in pairs.items()
            if Decimal(str(lake)) != Decimal(database)
        }
        if wrong:
            raise RuntimeError(f"lake and Postgres differ: {wrong}")
