"""How fast another shop's export comes in, beside a bare COPY of the rows it becomes.

Belongs here: an export of a fixed shape and the two runs. Does not: the import.
"""

import csv
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from sqlalchemy import Engine

from benchmarks.measure import Result, paired
from benchmarks.servers import Stores
from shop_api.bulk.importer import Summary, run_import
from shop_api.bulk.journal import open_local_job
from shop_api.bulk.locks import import_session
from shop_api.bulk.mapping import load_preset
from shop_api.db.engines import make_engine
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.clock import utc_now
from shop_api.models.base import metadata
from shop_api.spine.unit_of_work import Origin
from shop_api.spine.versions import ResourceVersions
from shop_api.spine.waker import Waker

ORDERS = 50_000
CUSTOMERS = 48_000
PRODUCTS = 16_000
ROUNDS = 3
# on the class of machine DESIGN §7 names
ORDERS_PER_SECOND = 5_000
TABLES = ("products", "variants", "customers", "orders", "order_lines", "payments")


def measure_import(stores: Stores) -> list[Result]:
    """Orders a second, with their lines, payments, customers and products."""
    folder = stores.folder / "export"
    folder.mkdir()
    write_export(folder)
    settings = stores.settings()
    engine = make_engine(str(settings.database_url), settings, statement_timeout_seconds=60)
    waker = Waker(str(settings.database_url), ResourceVersions(RequestRedis(stores.redis_url)))
    imported: list[UUID] = []

    def ours() -> float:
        tenant_id = make_tenant(stores)
        imported.append(tenant_id)
        started = time.perf_counter()
        summary = import_once(engine, waker, tenant_id, folder)
        seconds = time.perf_counter() - started
        assert summary.of("orders").created == ORDERS
        return ORDERS / seconds

    def floor() -> float:
        return ORDERS / copy_seconds(stores, imported[-1])

    measured, copied, ratio = paired(ours, floor, ROUNDS)
    waker.stop()
    engine.dispose()
    return [
        Result(
            "import of orders and all they refer to, beside COPY",
            measured,
            copied,
            "orders/s",
            ratio,
            budget=0.3,
        ),
        Result(
            "the same, beside the rate asked for",
            measured,
            ORDERS_PER_SECOND,
            "orders/s",
            measured / ORDERS_PER_SECOND,
            budget=1.0,
        ),
    ]


def import_once(engine: Engine, waker: Waker, tenant_id: UUID, folder: Path) -> Summary:
    """The whole import, from files to the last commit."""
    summary = Summary()
    origin = Origin(tenant_id, "system:benchmark", "benchmark", utc_now())
    with import_session(engine, tenant_id) as single:
        journal = open_local_job(engine, waker, origin, "benchmark", {})
        run_import(single, journal, folder, load_preset("olist"), summary)
    return summary


def make_tenant(stores: Stores) -> UUID:
    """A tenant with its counters."""
    tenant_id = uuid4()
    stores.psql(
        "INSERT INTO tenants (id, name, slug, plan, currency, timezone, created_at, updated_at)"
        f" VALUES ('{tenant_id}', 'b', 'b-{tenant_id}', 'pro', 'BRL', 'America/Sao_Paulo', now(),"
        f" now()); INSERT INTO tenant_counters (tenant_id, name) SELECT '{tenant_id}', name"
        " FROM unnest(ARRAY['event', 'order']) AS c (name)"
    )
    return tenant_id


def copy_seconds(stores: Stores, source: UUID) -> float:
    """COPY of the rows an import made, as another tenant's, as the administrator: no checks of
    ours, no row-level security, one transaction."""
    url = stores.postgres.server.get_uri(database="shop")
    target = uuid4()
    with psycopg.connect(url) as connection:
        data = {table: _rows(connection, table, source, target) for table in TABLES}
        # what keeps products' flags; the rows have them
        connection.execute("ALTER TABLE variants DISABLE TRIGGER USER")
        started = time.perf_counter()
        for table, content in data.items():
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier(table), _stored_columns(table)
            )
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(content.getbuffer())
        connection.commit()
        seconds = time.perf_counter() - started
        connection.execute("ALTER TABLE variants ENABLE TRIGGER USER")
        return seconds


def _stored_columns(table: str) -> sql.Composable:
    """All but those Postgres makes of others itself."""
    stored = [column.name for column in metadata.tables[table].columns if column.computed is None]
    return sql.SQL(", ").join(map(sql.Identifier, stored))


def _rows(
    connection: psycopg.Connection[tuple[object, ...]], table: str, source: UUID, target: UUID
) -> BytesIO:
    """A tenant's rows in COPY's text form, as those of `target`."""
    content = BytesIO()
    statement = sql.SQL("COPY (SELECT {} FROM {} WHERE tenant_id = {}) TO STDOUT").format(
        _stored_columns(table), sql.Identifier(table), sql.Literal(source)
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in copy:
            content.write(bytes(block).replace(str(source).encode(), str(target).encode()))
    return content


def write_export(folder: Path) -> None:
    """Files of the shape the olist preset reads."""
    tables = {
        "olist_customers_dataset": (
            "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state",
            _customers(),
        ),
        "olist_products_dataset": ("product_id,product_category_name", _products()),
        "product_category_name_translation": (
            "product_category_name,product_category_name_english",
            iter([("casa", "home")]),
        ),
        "olist_orders_dataset": (
            "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
            "order_delivered_carrier_date,order_delivered_customer_date",
            _orders(),
        ),
        "olist_order_items_dataset": (
            "order_id,order_item_id,product_id,price,freight_value",
            _items(),
        ),
        "olist_order_payments_dataset": (
            "order_id,payment_sequential,payment_type,payment_value",
            _payments(),
        ),
    }
    for name, (header, rows) in tables.items():
        with (folder / f"{name}.csv").open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(header.split(","))
            writer.writerows(rows)


Rows = Iterator[tuple[object, ...]]


def _customers() -> Rows:
    for i in range(ORDERS):
        yield (_key(i), _key(i % CUSTOMERS), f"{i % 99999:05d}", "curitiba", "PR")


def _products() -> Rows:
    return ((_key(i), "casa" if i % 50 else "") for i in range(PRODUCTS))


def _orders() -> Rows:
    first = datetime(2026, 1, 1, tzinfo=UTC)
    for i in range(ORDERS):
        at = (first + timedelta(minutes=5 * i)).strftime("%Y-%m-%d %H:%M:%S")
        yield (_key(i), _key(i), "delivered", at, at, at, at)


def _items() -> Rows:
    for i in range(ORDERS):
        for n in range(2 if i % 8 == 0 else 1):
            yield (_key(i), n + 1, _key((i + n) % PRODUCTS), "19.90", "7.50")


def _payments() -> Rows:
    return ((_key(i), 1, "credit_card", "27.40") for i in range(ORDERS))


def _key(number: int) -> str:
    return f"{number:032x}"
